"""What an account's margin is and why: portfolio files, prices and volatilities in; tables and a picture out.

account = case_of(read_portfolio(Path("book.json")), Assumptions(prices={"BTC": "100000"}))
found = measure(account)
found.portfolio.initial, found.cross.initial  # money, 1e-6 USD
"""

from margincall.margining.analysis import Report, measure
from margincall.margining.case import Case, Holding
from margincall.margining.files import PortfolioFile, example, example_names, read_portfolio
from margincall.margining.inputs import Assumptions, case_of

__all__ = [
    "Assumptions",
    "Case",
    "Holding",
    "PortfolioFile",
    "Report",
    "case_of",
    "example",
    "example_names",
    "measure",
    "read_portfolio",
]
