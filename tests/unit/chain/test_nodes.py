"""Nodes that are absent, wrong, or of the wrong kind are refused in one line."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from margincall.chain import ChainError, nodes
from margincall.chain.node import NodeChain


def test_no_node():
    with pytest.raises(
        ChainError, match="no answer from http://127.0.0.1:9 .*; start a node there"
    ) as raised:
        NodeChain("http://127.0.0.1:9")
    assert "\n" not in str(raised.value)
    with pytest.raises(ChainError, match=r"no answer from /nowhere\.ipc"):
        NodeChain("/nowhere.ipc")


def test_wrong_chain_id(anvil):
    with pytest.raises(ChainError, match="has chain id 31337, expected 1; give the right URL"):
        NodeChain(anvil.url, expect_chain_id=1)
    assert NodeChain(anvil.url, expect_chain_id=31337).accounts[:10] == anvil.accounts[:10]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"jsonrpc": "2.0", "id": 0, "result": "Geth/v1.14"}', "not a development node"),
        (b"<html>hello</html>", "no answer from"),
    ],
)
def test_something_else_answers(body, says):
    class Server(BaseHTTPRequestHandler):
        def do_POST(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with pytest.raises(ChainError, match=says):
            NodeChain(f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        server.server_close()


def test_nodes_start_at_the_asked_time_and_end(probe):
    with nodes.anvil(timestamp=1_600_000_000, ipc=True) as chain:
        assert chain.timestamp == 1_600_000_000
        contract = chain.deploy(probe, 4, chain.accounts[0], at=1_600_000_100)
        assert contract.call("total") == 4
    with pytest.raises(ChainError, match="no answer"):
        NodeChain(chain.url)


def test_hardhat_starts_at_the_asked_time():
    with nodes.hardhat() as chain:  # its own: others move the clock of the one they share
        assert chain.logs(start=chain.block + 1) == []
        assert 0 <= chain.timestamp - nodes.GENESIS_TIMESTAMP < 10**6


def test_missing_binaries_are_named(monkeypatch, tmp_path):
    monkeypatch.setattr(nodes, "BIN", tmp_path)
    with pytest.raises(ChainError, match="anvil is not installed .*npm ci --ignore-scripts"), nodes.anvil():
        pass


def test_a_node_that_ends_says_why(monkeypatch, tmp_path):
    (tmp_path / "anvil").write_text("#!/bin/sh\necho starting\necho no such hardfork >&2\nexit 3\n")
    (tmp_path / "anvil").chmod(0o755)
    monkeypatch.setattr(nodes, "BIN", tmp_path)
    with pytest.raises(ChainError, match="anvil ended: no such hardfork"), nodes.anvil():
        pass


def test_a_taken_port_is_refused(anvil):
    port = int(anvil.url.rsplit(":", 1)[1])
    with pytest.raises(ChainError, match=f"port {port} is taken"), nodes.hardhat(port=port):
        pass
