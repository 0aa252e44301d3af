"""The formulas in real numbers (mpmath), to check the exact integers against."""
