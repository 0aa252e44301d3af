"""What a benchmark says that it was measured on."""

from margincall.bench.versions import digest, versions
from margincall.protocol.artifacts import CONTRACTS


def test_versions():
    found = versions()
    assert found.keys() == {"contracts", "vyper", "snekmate", "pyrevm", "anvil", "python"}
    assert found["contracts"] == digest(CONTRACTS)
    assert all(found.values())


def test_the_digest_sees_every_source(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "A.vy").write_text("one")
    (tmp_path / "a" / "b.vyi").write_text("two")
    (tmp_path / "README.md").write_text("no source")
    seen = {digest(tmp_path)}
    (tmp_path / "README.md").write_text("other")
    assert digest(tmp_path) in seen
    for change in (
        lambda: (tmp_path / "A.vy").write_text("1"),
        lambda: (tmp_path / "a" / "b.vyi").write_text("2"),
        lambda: (tmp_path / "A.vy").rename(tmp_path / "B.vy"),
    ):
        change()
        assert digest(tmp_path) not in seen
        seen.add(digest(tmp_path))
