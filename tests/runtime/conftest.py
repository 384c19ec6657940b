"""Real weights, fetched once into the user's cache."""

from __future__ import annotations

from pathlib import Path

import pytest

from rung.core.errors import RungError
from rung.runtime.weights import store


def _fetch(name: str) -> Path:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("tokenizers")
    try:
        return store.fetch(name)
    except RungError as error:
        pytest.skip(f"weights cannot be fetched here: {error.problem}")


@pytest.fixture(scope="session")
def minilm() -> str:
    _fetch("minilm")
    return "minilm"


@pytest.fixture(scope="session")
def e5_small() -> str:
    _fetch("e5_small")
    return "e5_small"


@pytest.fixture(scope="session")
def bge_small() -> str:
    _fetch("bge_small")
    return "bge_small"


@pytest.fixture(scope="session")
def wordllama() -> Path:
    return _fetch("wordllama")
