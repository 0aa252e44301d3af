"""Candle files: read, checked line by line, brought onto one clock.

A file's name begins with the market's symbol (`btc_...`); columns timestamp_utc, open, high, low, close
(volume and others are not read). Every refusal is one line: file, line, value, what was expected.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import NamedTuple

from margincall.model.arithmetic import MAX_PRICE
from margincall.protocol.config import MarketSpec, ProtocolSpec

PRICES = ("open", "high", "low", "close")


class BadInput(ValueError):
    """Something a person gave is unusable: one line that says what was expected."""


class Candle(NamedTuple):
    """Price units of its market. `time`: unix seconds at which it opens."""

    time: int
    open: int
    high: int
    low: int
    close: int


class History(NamedTuple):
    """Candles of several markets on one clock.

    markets: their specs, by id; candles: market id -> list, all of one length, opening at the same
    times; step: seconds from candle to candle."""

    markets: tuple[MarketSpec, ...]
    candles: dict[int, list[Candle]]
    step: int

    @property
    def times(self) -> list[int]:
        """Opening times, unix seconds."""
        return [candle.time for candle in self.candles[self.markets[0].id]]

    def cut(self, start: int | None, end: int | None, most: int | None) -> History:
        """The candles that open in [start, end], at most the first `most`. Raises BadInput when none do."""
        chosen = [
            i
            for i, time in enumerate(self.times)
            if (start is None or time >= start) and (end is None or time <= end)
        ]
        chosen = chosen[:most]
        if not chosen:
            first, last = moment(self.times[0]), moment(self.times[-1])
            raise BadInput(f"no candle is left to replay; the files go from {first} to {last}")
        cut = slice(chosen[0], chosen[-1] + 1)
        return self._replace(candles={market: rows[cut] for market, rows in self.candles.items()})


def read(files: Sequence[Path], spec: ProtocolSpec) -> History:
    """Read one file per market. Raises BadInput."""
    if not files:
        raise BadInput("no candle file given; name one file per market, such as btc_2025-10-10_5m_perp.csv")
    markets: dict[int, MarketSpec] = {}
    candles: dict[int, list[Candle]] = {}
    paths: dict[int, Path] = {}
    for path in map(Path, files):
        market = market_of(path, spec)
        if market.id in markets:
            raise BadInput(f"{path}: a second file for {market.symbol}; give one file per market")
        markets[market.id], paths[market.id] = market, path
        candles[market.id] = _candles(path, market)
    ids = sorted(markets)
    first = candles[ids[0]]
    for other in ids[1:]:
        _check_same_clock(paths[ids[0]], first, paths[other], candles[other])
    step = first[1].time - first[0].time if len(first) > 1 else 300
    return History(tuple(markets[i] for i in ids), {i: candles[i] for i in ids}, step)


def market_of(path: Path, spec: ProtocolSpec) -> MarketSpec:
    """The market that a file's name begins with. Raises BadInput for an unknown one."""
    symbol = path.name.split("_")[0].split(".")[0].upper()
    try:
        return spec.market(symbol)
    except ValueError:
        known = ", ".join(market.symbol.lower() + "_" for market in spec.markets)
        raise BadInput(
            f"{path}: unknown market {symbol!r}; the file's name must begin with one of {known}"
        ) from None


def rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """(line number, row) of a csv file that must have `columns`. Raises BadInput."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            missing = [column for column in columns if column not in (reader.fieldnames or ())]
            if missing:
                raise BadInput(
                    f"{path}: line 1: no column {missing[0]!r}; expected a header with {', '.join(columns)}"
                )
            for row in reader:
                short = [column for column in columns if row[column] is None]
                if short:
                    here = f"{path}: line {reader.line_num}"
                    raise BadInput(f"{here}: no value for {short[0]!r}; expected {','.join(columns)}")
                yield reader.line_num, row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        what = getattr(error, "strerror", None) or "not a text file of comma-separated values"
        raise BadInput(f"{path}: cannot be read ({what}); give an existing csv file") from None


def moment_of(text: str, where: str) -> int:
    """Unix seconds of an ISO 8601 time; UTC when it names no zone. Raises BadInput."""
    try:
        parsed = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
        if parsed.tzinfo is None:
            parsed = parsed.replace(tzinfo=UTC)
        seconds = parsed.timestamp()
    except (ValueError, OverflowError):
        raise BadInput(f"{where}: {text!r} is no time; expected ISO 8601 like 2025-10-10T21:15:00Z") from None
    if seconds != int(seconds) or not 0 < seconds < 2**32:
        raise BadInput(f"{where}: {text!r} is out of range; expected whole seconds from 1970 to 2106")
    return int(seconds)


def moment(seconds: int) -> str:
    """Unix seconds as people read them, UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")


def number(text: str, where: str) -> Decimal:
    """A finite decimal number. Raises BadInput."""
    try:
        value = Decimal(text.strip())
    except InvalidOperation:
        raise BadInput(f"{where}: {text!r} is no number; expected a decimal like 123.4") from None
    if not value.is_finite():
        raise BadInput(f"{where}: {text!r} is not finite; expected a decimal like 123.4")
    return value


def _candles(path: Path, market: MarketSpec) -> list[Candle]:
    found: list[Candle] = []
    for line, row in rows(path, ("timestamp_utc", *PRICES)):
        here = f"{path}: line {line}"
        prices = [_price(row[name], f"{here}: {name}", market) for name in PRICES]
        candle = Candle(moment_of(row["timestamp_utc"], here), *prices)
        if candle.high < candle.low:
            raise BadInput(
                f"{here}: high {row['high']} is below low {row['low']}; expected low <= open, close <= high"
            )
        if not candle.low <= min(candle.open, candle.close) <= max(candle.open, candle.close) <= candle.high:
            raise BadInput(
                f"{here}: open {row['open']} or close {row['close']} is outside low {row['low']} to high"
                f" {row['high']}; expected low <= open, close <= high"
            )
        if found:
            _check_time(found, candle.time, here, row["timestamp_utc"])
        found.append(candle)
    if not found:
        raise BadInput(f"{path}: no candles; expected lines of timestamp_utc,{','.join(PRICES)}")
    return found


def _price(text: str, where: str, market: MarketSpec) -> int:
    value = number(text, where)
    if value <= 0:
        raise BadInput(f"{where}: {text} is not a price; expected more than zero")
    try:
        price = market.price(value)
    except ValueError:
        raise BadInput(
            f"{where}: {text} is too fine; {market.symbol} takes at most {market.price_decimals} decimals"
        ) from None
    if price > MAX_PRICE:
        raise BadInput(f"{where}: {text} is too large; {market.symbol} goes to {market.usd(MAX_PRICE):,.0f}")
    return price


def _check_time(found: list[Candle], time: int, here: str, text: str) -> None:
    last = found[-1].time
    if time == last:
        raise BadInput(f"{here}: {text} is a duplicate of the line before; expected one line a candle")
    if time < last:
        raise BadInput(f"{here}: {text} is before the line above; expected rising times")
    if len(found) > 1 and time - last != (step := found[1].time - found[0].time):
        raise BadInput(
            f"{here}: {text} leaves a gap; expected {moment(last + step)}, {step} seconds after the last"
        )


def _check_same_clock(one: Path, first: list[Candle], two: Path, second: list[Candle]) -> None:
    if first[0].time != second[0].time:
        raise BadInput(
            f"{two}: starts at {moment(second[0].time)}, {one.name} at {moment(first[0].time)};"
            " expected files that start together"
        )
    if len(first) > 1 and len(second) > 1 and first[1].time != second[1].time:
        raise BadInput(
            f"{two}: a candle every {second[1].time - second[0].time} seconds, {one.name} every"
            f" {first[1].time - first[0].time}; expected the same"
        )
    if len(first) != len(second):
        raise BadInput(
            f"{two}: {len(second)} candles, {one.name} has {len(first)}; expected files that end together"
        )
