"""Static embeddings equal the plain mean of token vectors, only faster."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from rung.core.errors import DataError, RungError
from rung.modalities.text import static_embedding
from rung.modalities.text.static_embedding import StaticEmbedding, split_words

ODD = [
    "hello world",
    " a",
    "a ",
    "a  b",
    "  a   b  ",
    " ",
    "   ",
    "tab\there new\nline",
    "ünïcode 中文 测试 \U0001f600",
    "x" * 300 + " " + "y" * 100,
    "今天天气很好我们去公园散步吧" * 30,
]


def _plain(embedding: StaticEmbedding, texts: list[str]) -> np.ndarray:
    ids = [embedding._tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
    return np.array([embedding._table[item].mean(axis=0) for item in ids])


def test_equals_the_plain_mean(wordllama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(static_embedding, "_WINDOW", 4)
    monkeypatch.setattr(static_embedding, "_MAX_WORDS", 6)  # forgets again and again
    embedding = StaticEmbedding.open(wordllama)
    for _ in range(2):
        assert np.abs(embedding.encode(ODD, normalise=False) - _plain(embedding, ODD)).max() < 1e-6
    assert (embedding.encode([""], normalise=False) == 0).all()
    assert np.allclose(np.linalg.norm(embedding.encode(ODD), axis=1), 1, atol=1e-5)
    assert embedding.encode([]).shape == (0, 256)


def test_threads_may_share_one(wordllama: Path) -> None:
    embedding = StaticEmbedding.open(wordllama)
    texts = [f"word{number} and word{number % 7}" for number in range(2000)]
    expected = StaticEmbedding.open(wordllama).encode(texts)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: embedding.encode(texts), range(8)):
            assert np.abs(found - expected).max() < 1e-6


def test_failure_leaves_no_empty_vectors(wordllama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    embedding = StaticEmbedding.open(wordllama)
    expected = embedding.encode(["brand new words"])
    embedding = StaticEmbedding.open(wordllama)
    with monkeypatch.context() as patch:
        patch.setattr(embedding, "_add_words", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            embedding.encode(["brand new words"])
    assert (embedding.encode(["brand new words"]) == expected).all()


def test_words_rebuild_the_text() -> None:
    assert split_words("a b") == ["a", "b"]
    assert split_words("a  b ") == ["a", " b", ""]
    assert split_words("") == []


def test_half_surrogates_are_read(wordllama: Path) -> None:
    embedding = StaticEmbedding.open(wordllama)
    assert (embedding.encode(["a \ud800 b"]) == embedding.encode(["a ? b"])).all()


def test_errors(tmp_path: Path, wordllama: Path) -> None:
    with pytest.raises(RungError, match="cannot read"):
        StaticEmbedding.open(tmp_path)
    with pytest.raises(DataError, match="row 1"):
        StaticEmbedding.open(wordllama).encode(["a", 3])  # type: ignore[list-item]
