"""Replay of market history on the real contracts: candles, populations, keepers, tables and pictures.

Start with `engine.Replay`.
"""
