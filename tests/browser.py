"""A headless Chromium that opens a page of this project and tells what happened to it.

The browser is the one on PATH, or the one that `npm ci` brought inside the package @sparticuz/chromium:
a binary and libraries in Brotli, unpacked once into build/chromium/. It is spoken to over the DevTools
protocol, because that build answers neither --dump-dom nor --screenshot. No browser is a failure, never a
skip.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "node_modules" / "@sparticuz" / "chromium"
UNPACKED = ROOT / "build" / "chromium"
ON_PATH = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless",
    "--no-sandbox",  # tests may run as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND",  # a request by name fails, and is seen
    "--remote-debugging-port=0",
)
UNBROTLI = """
const { pipeline } = require("stream/promises"), fs = require("fs"), zlib = require("zlib");
const [from, to] = process.argv.slice(1);
pipeline(fs.createReadStream(from), zlib.createBrotliDecompress(), fs.createWriteStream(to));
"""
SECONDS = 60
FONTS = """<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>/usr/share/fonts</dir><dir>{folder}/fonts</dir><cachedir>{folder}/cache</cachedir></fontconfig>
"""


class NoBrowser(Exception):
    """No browser can be started; the message says what to install."""


class Page:
    """A page that is open. errors: what its console and its scripts complained about; requests: every
    address that it asked for, its own left out."""

    def __init__(self, socket: ClientConnection, width: int, height: int) -> None:
        self.errors: list[str] = []
        self.requests: list[str] = []
        self._socket, self._ids, self._loaded = socket, count(1), False
        self._session: str | None = None
        target = self._send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self._send(f"{domain}.enable")
        self.resize(width, height)

    def open(self, file: Path) -> None:
        """Load a file and wait for all of it."""
        self._url, self._loaded = file.resolve().as_uri(), False
        self._send("Page.navigate", url=self._url)
        while not self._loaded:
            self._receive()

    def resize(self, width: int, height: int, dark: bool = False) -> None:
        """CSS pixels; a width below 600 is a phone."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self._send("Emulation.setDeviceMetricsOverride", **metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._send("Emulation.setEmulatedMedia", features=[scheme])

    def evaluate(self, script: str) -> Any:
        """The value of a JavaScript expression; an exception becomes an AssertionError."""
        found = self._send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def screenshot(self, path: Path) -> None:
        """The whole page as a PNG."""
        size = self._send("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        shot = self._send("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(shot["data"]))

    def _send(self, method: str, **params) -> dict:
        number = next(self._ids)
        message = {"id": number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        self._socket.send(json.dumps(message))
        while (answer := self._receive()).get("id") != number:
            pass
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    def _receive(self) -> dict:
        message = json.loads(self._socket.recv(timeout=SECONDS))
        match message.get("method"), message.get("params"):
            case "Page.loadEventFired", _:
                self._loaded = True
            case "Network.requestWillBeSent", {"request": {"url": url}} if url != self._url:
                self.requests.append(url)
            case "Runtime.consoleAPICalled", {"type": "error" | "warning", "args": said}:
                self.errors.append(" ".join(str(one.get("value", one)) for one in said))
            case "Runtime.exceptionThrown", {"exceptionDetails": details}:
                self.errors.append(details.get("exception", {}).get("description", details["text"]))
            case "Log.entryAdded", {"entry": entry}:
                self.errors.append(f"{entry['text']} {entry.get('url', '')}")
        return message


@contextmanager
def chromium(width: int = 1280, height: int = 900) -> Iterator[Page]:
    """An empty page in a browser of its own. Raises NoBrowser."""
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as folder:
        process, address = _started(Path(folder))
        try:
            with connect(address, max_size=None) as socket:
                yield Page(socket, width, height)
        finally:
            _end(process)


def _started(folder: Path) -> tuple[subprocess.Popen, str]:
    """The first browser that answers, and its address."""
    failures = []
    for place, find in enumerate((_on_path, _packaged)):
        try:
            binary, settings = find()
            return _start(binary, settings, folder / str(place))
        except NoBrowser as error:
            failures.append(str(error))
    raise NoBrowser("no Chromium: " + "; ".join(failures))


def _start(binary: str, settings: dict[str, str], profile: Path) -> tuple[subprocess.Popen, str]:
    profile.mkdir()
    command = [binary, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
    log, file = profile / "said", profile / "DevToolsActivePort"
    with log.open("wb") as said:
        process = subprocess.Popen(command, env=os.environ | settings, stdout=said, stderr=said)
    deadline = time.monotonic() + SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if file.exists() and len(found := file.read_text().split()) == 2:
            return process, f"ws://127.0.0.1:{found[0]}{found[1]}"
        time.sleep(0.05)
    state = "ended" if process.poll() is not None else f"did not answer within {SECONDS} s"
    _end(process)
    lines = log.read_text(errors="replace").strip().splitlines()
    raise NoBrowser(f"{binary} {state} ({lines[-1] if lines else 'no output'})")


def _end(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _on_path() -> tuple[str, dict[str, str]]:
    """A binary and what its environment needs."""
    found = next(filter(None, map(shutil.which, ON_PATH)), None)
    if not found:
        raise NoBrowser(f"none of {', '.join(ON_PATH)} is on PATH")
    return found, {}


def _packaged() -> tuple[str, dict[str, str]]:
    if not PACKAGE.exists():
        raise NoBrowser(f"none is in {ROOT / 'node_modules'}, run `npm ci --ignore-scripts` (make test does)")
    folder = UNPACKED / json.loads((PACKAGE / "package.json").read_text())["version"]
    if not folder.exists():
        _unpack(folder)
    settings = {"LD_LIBRARY_PATH": str(folder / "lib"), "FONTCONFIG_FILE": str(folder / "fonts.conf")}
    return str(folder / "chromium"), settings


def _unpack(folder: Path) -> None:
    if not (node := shutil.which("node")):
        raise NoBrowser("there is no node on PATH to unpack the one in node_modules")
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Several test processes may unpack: only a complete folder may appear.
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        part = Path(temporary) / "part"
        part.mkdir()
        for name in ("chromium", "fonts.tar", "al2023.tar"):
            source = PACKAGE / "bin" / f"{name}.br"
            subprocess.run([node, "-e", UNBROTLI, str(source), str(part / name)], check=True)
            if name.endswith(".tar"):
                with tarfile.open(part / name) as archive:
                    # Python before 3.11.4 has no filters; what is unpacked is held to the lock file's hash.
                    archive.extraction_filter = getattr(tarfile, "data_filter", None)
                    archive.extractall(part)
                (part / name).unlink()
        (part / "chromium").chmod(0o755)
        (part / "fonts.conf").write_text(FONTS.format(folder=folder))
        try:
            part.rename(folder)
        except OSError:
            if not folder.exists():
                raise
