"""The contract runs every family, so the weights they name are fetched, once, through the product's own door."""

import pytest

from rung.runtime.weights.store import fetch


@pytest.fixture(scope="session", autouse=True)
def weights():
    for name in ("wordllama", "minilm", "e5_small"):
        fetch(name)
