"""The lemmas stand on the code as it is."""

import ast
import json

import pytest

from tests.lemmas import code, test_lemmas, test_portfolio_lemmas


def test_every_lemma_says_what_it_is_about():
    named = {name.partition(".")[2] for name in code.references()}
    for module in (test_lemmas, test_portfolio_lemmas):
        lemmas = {name for name in vars(module) if name.startswith("test_")}
        assert lemmas - named <= {"test_the_prover_refutes_what_is_wrong"}


def test_the_code_is_as_the_lemmas_were_read_against_it():
    said = [f"{part}: {', '.join(lemmas)}" for part, lemmas in code.changed().items()]
    assert not said, (
        "changed under lemmas; read them, then `python -m tests.lemmas.code --read`:\n" + "\n".join(said)
    )


def test_no_digest_is_left_over():
    parts = {part for found in code.references().values() for part in found}
    assert set(json.loads(code.DIGESTS.read_text())) == parts


def test_a_digest_sees_code_and_no_comments(monkeypatch, tmp_path):
    before = code.digest("math/rounding.vy:_floor_div")
    text = (code.CONTRACTS / "math/rounding.vy").read_text()
    (tmp_path / "math").mkdir()
    monkeypatch.setattr(code, "CONTRACTS", tmp_path)
    (tmp_path / "math/rounding.vy").write_text(text.replace("    @dev The caller", "    @dev A caller"))
    assert code.digest("math/rounding.vy:_floor_div") == before
    (tmp_path / "math/rounding.vy").write_text(text.replace("if x < 0 and", "if x <= 0 and"))
    assert code.digest("math/rounding.vy:_floor_div") != before


def test_a_wrong_division_is_refuted(monkeypatch, tmp_path):
    """The translated lemmas judge the source itself."""
    (tmp_path / "math").mkdir()
    text = (code.CONTRACTS / "math/rounding.vy").read_text()
    monkeypatch.setattr(code, "CONTRACTS", tmp_path)
    for old, new, lemma in (
        ("return unsafe_sub(quotient, 1)", "return quotient", test_lemmas.test_floor_div_is_the_floor),
        ("if x > 0 and", "if x < 0 and", test_lemmas.test_ceil_div_is_the_ceiling),
        ("unsafe_sub(y, 1))", "unsafe_sub(y, 2))", test_lemmas.test_div_up_is_the_ceiling),
    ):
        assert old in text
        (tmp_path / "math/rounding.vy").write_text(text.replace(old, new))
        with pytest.raises(AssertionError):
            lemma()


def test_what_cannot_be_translated_is_said():
    with pytest.raises(NotImplementedError):
        code.Translation(signed=True).expression(ast.parse("x ** y").body[0].value, {"x": 1, "y": 2})
    with pytest.raises(LookupError, match="has no function"):
        code.digest("math/rounding.vy:_half")
