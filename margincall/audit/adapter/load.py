"""From what a person types to a function that makes adapters."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from margincall.audit.adapter.protocol import Account, Adapter, Margin, Market, Stocks
from margincall.chain import Chain, ChainError, Reverted
from margincall.protocol.artifacts import CompileError
from margincall.replay.candles import BadInput

DEFAULT = "adapter"
METHODS = (
    "deposit", "withdraw", "trade", "set_price", "liquidate", "cash", "size", "margin", "wallet", "held",
    "stocks",
)  # fmt: skip
KINDS = {
    "name": str, "chain": Chain, "traders": Sequence, "accounts": Sequence, "markets": Sequence, "money": int,
    "rounding": int, "transfer": int, "partial": bool, "accrues": bool, "reward": int,
}  # fmt: skip


def load(target: str) -> Callable[[], Adapter]:
    """`path/to/file.py`, `package.module`, either with `:name`; the name (default "adapter") is a function or
    class without required arguments. Makes one adapter to see whether it is one. Raises BadInput."""
    place, _, name = target.partition(":")
    name = name or DEFAULT
    factory = getattr(_module(place), name, None)
    if factory is None:
        raise BadInput(
            f"{place}: has no {name!r}; name the function that makes adapters, as {place}:my_adapter"
        )
    if not callable(factory):
        raise BadInput(
            f"{place}:{name}: is a {type(factory).__name__}; expected a function without arguments"
        )
    needed = [
        p.name for p in inspect.signature(factory).parameters.values()
        if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]  # fmt: skip
    if needed:
        raise BadInput(f"{place}:{name}: needs {', '.join(needed)}; expected a function without arguments")
    _examine(factory, f"{place}:{name}")
    return factory


def _module(place: str):
    if place.endswith(".py"):
        path = Path(place).resolve()
        if not path.is_file():
            raise BadInput(f"{place}: no such file; give a Python file or an importable module")
        spec = importlib.util.spec_from_file_location(f"audited_{path.stem}", path)
        module = importlib.util.module_from_spec(spec)
        sys.path.insert(0, str(path.parent))  # what lies beside it may be imported
        sys.modules[spec.name] = module
        return _guarded(place, lambda: spec.loader.exec_module(module) or module)
    if not all(part.isidentifier() for part in place.split(".")):
        raise BadInput(f"{place or '(nothing)'}: expected a Python file (x.py) or a module (package.module)")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    return _guarded(place, lambda: importlib.import_module(place))


def _guarded(what: str, act: Callable):
    """Somebody else's code: whatever it raises becomes one line."""
    try:
        return act()
    except (BadInput, CompileError, ChainError):
        raise
    except Reverted as error:
        raise BadInput(f"{what}: the chain refused its deployment: {error}") from None
    except Exception as error:
        raise BadInput(f"{what}: {type(error).__name__}: {error}") from error


def _examine(factory: Callable, what: str) -> None:
    """Refuse what is no adapter: one line, which member and what is expected."""
    adapter = _guarded(what, factory)
    for name in METHODS:
        if not callable(getattr(adapter, name, None)):
            raise BadInput(
                f"{what}: the adapter has no {name}(); see margincall.audit.adapter.protocol.Adapter"
            )
    for name, kind in KINDS.items():
        found = getattr(adapter, name, None)
        if not isinstance(found, kind):
            raise BadInput(f"{what}: {name} is {found!r}; expected {kind.__name__} (see Adapter)")
    for name, kind in (("accounts", Account), ("markets", Market)):
        odd = [one for one in getattr(adapter, name) if not isinstance(one, kind)]
        if odd or not getattr(adapter, name):
            raise BadInput(f"{what}: {name} holds {odd[:1] or 'nothing'}; expected some {kind.__name__}(...)")
    traders, markets = len(adapter.traders), len(adapter.markets)
    if traders < 3:
        raise BadInput(f"{what}: {traders} traders; expected three or more, the last of them the keeper")
    for account in adapter.accounts:
        if not (0 <= account.trader < traders and -1 <= account.pool < markets):
            raise BadInput(f"{what}: {account} names no trader or no market; indices start at 0")
    if not any(account.trader == traders - 1 for account in adapter.accounts):
        raise BadInput(f"{what}: the last trader, the keeper, has no account; give him one in each pool")
    _views(adapter, what)


def _views(adapter: Adapter, what: str) -> None:
    account = adapter.accounts[0]
    views = {
        "cash": (lambda: adapter.cash(account), int),
        "size": (lambda: adapter.size(account, 0), int),
        "margin": (lambda: adapter.margin(account), Margin | None),
        "wallet": (lambda: adapter.wallet(0), int),
        "held": (adapter.held, int),
        "stocks": (adapter.stocks, Stocks),
    }
    for name, (view, kind) in views.items():
        found = _guarded(f"{what}: {name}()", view)
        if not isinstance(found, kind):
            expected = getattr(kind, "__name__", kind)
            raise BadInput(f"{what}: {name}() gave {found!r}; expected {expected}")
