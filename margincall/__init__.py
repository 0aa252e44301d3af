"""On-chain perp margin: contracts in Vyper, and the tools to prototype, audit and measure them."""

__version__ = "0.1.0"
