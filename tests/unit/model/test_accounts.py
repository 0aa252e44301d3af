"""Account ids and storage words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from margincall.model import accounts

owners = st.integers(0, 2**160 - 1)
words32 = st.integers(0, 2**32 - 1)
positions = st.tuples(
    st.integers(1, 63),
    st.integers(-(2**47) + 1, 2**47 - 1),
    st.integers(-(2**63) + 1, 2**63 - 1),
)


@given(owners, words32, st.integers(1, 63), words32)
def test_vault_id_holds_its_parent_market_and_number(owner, index, market, number):
    root = accounts.root(owner, index)
    vault = accounts.vault(root, market, number)
    assert not accounts.is_vault(root)
    assert accounts.is_vault(vault)
    assert accounts.parent(vault) == accounts.parent(root) == root
    assert (accounts.owner_of(vault), accounts.index_of(vault)) == (owner, index)
    assert (accounts.market_of(vault), accounts.number_of(vault)) == (market, number)
    assert (accounts.mode_of(root), accounts.mode_of(vault)) == (accounts.CROSS, accounts.ISOLATED)


@given(st.integers(-(2**127), 2**127 - 1), st.integers(0, 255), st.integers(0, 255))
def test_header_round_trip(cash, count, mode):
    word = accounts.pack_header(cash, count, mode)
    assert 0 <= word < 2**144
    assert accounts.unpack_header(word) == (cash, count, mode)


@given(st.lists(positions, max_size=32))
def test_words_round_trip(held):
    words = accounts.pack_words(held)
    assert len(words) == (len(held) + 1) // 2
    assert accounts.unpack_words(words, len(held)) == tuple(held)


def test_layout_by_hand():
    """entry in the low 64 bits, size in the next 48, market in the top 16 of a lane; odd lane high."""
    words = accounts.pack_words([(1, -1, -2), (63, 5, 7)])
    low = (2**64 - 2) | (2**48 - 1) << 64 | 1 << 112
    assert words == [low | (7 | 5 << 64 | 63 << 112) << 128]
    assert accounts.pack_header(-1, 2, 1) == (2**128 - 1) | 2 << 128 | 1 << 136


def test_bad_ids_are_named():
    root = accounts.root("0x00000000000000000000000000000000000000AA")
    with pytest.raises(ValueError, match="owner"):
        accounts.root(2**160)
    with pytest.raises(ValueError, match="itself a vault"):
        accounts.vault(accounts.vault(root, 1), 1)
    with pytest.raises(ValueError, match="market 0"):
        accounts.vault(root, 0)
    with pytest.raises(ValueError, match="does not fit"):
        accounts.pack_lane(1, 2**47, 0)
