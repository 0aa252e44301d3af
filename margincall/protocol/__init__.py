"""A deployed protocol: compile, deploy, sign, trade.

`deploy` and `load` make a `Protocol`, `Protocol.account` an `Account`.
"""
