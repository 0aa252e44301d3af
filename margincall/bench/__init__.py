"""What every operation and every margin check costs on chain, beside what cold state alone would cost."""
