"""Contracts from files: no compiler is needed where ABI and creation code are at hand."""

from __future__ import annotations

import json
from pathlib import Path

from margincall.protocol.artifacts import Artifact
from margincall.replay.candles import BadInput


def artifact_from(path: str | Path, bytecode: str | Path | None = None) -> Artifact:
    """An artifact to deploy, whatever compiled it.

    `path`: a JSON file, either the ABI alone, with `bytecode` a file of creation code in hex; or what
    Foundry (`out/X.sol/X.json`), Hardhat (`artifacts/.../X.json`) or solc write: an object with "abi" and
    "bytecode". Raises BadInput: no such file, no ABI in it, no code, code with unlinked libraries.
    """
    path = Path(path)
    record = _read(path)
    abi = record.get("abi") if isinstance(record, dict) else record
    if not isinstance(abi, list) or not all(isinstance(entry, dict) and "type" in entry for entry in abi):
        raise BadInput(f"{path}: no ABI in it; expected a list of entries, or an object with one as 'abi'")
    if bytecode is not None:
        try:
            code = Path(bytecode).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"{bytecode}: cannot be read ({error}); give a file of hex") from None
        where = bytecode
    else:
        code, where = record.get("bytecode") if isinstance(record, dict) else None, path
        code = code.get("object") if isinstance(code, dict) else code
    return Artifact(path.stem, _plain(abi), _hex(code, where), b"", {})


def _plain(abi: list) -> list:
    """Entries as the codec takes them: constructors, functions and events with lists that are there."""
    return [entry | {key: entry.get(key) or [] for key in ("inputs", "outputs")} for entry in abi]


def _read(path: Path):
    try:
        return json.loads(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: cannot be read ({error}); give the JSON that the compiler wrote") from None
    except ValueError as error:
        raise BadInput(f"{path}: is not JSON ({error}); give the JSON that the compiler wrote") from None


def _hex(code: object, where: str | Path) -> bytes:
    if not isinstance(code, str) or not code.removeprefix("0x"):
        raise BadInput(f"{where}: no creation code; expected hex, or 'bytecode' beside 'abi'")
    if "__" in code:
        raise BadInput(f"{where}: the code has unlinked libraries (__...__); link them first")
    try:
        return bytes.fromhex(code.removeprefix("0x"))
    except ValueError:
        raise BadInput(f"{where}: the creation code is not hex; expected 0x60...") from None
