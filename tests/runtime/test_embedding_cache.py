"""No text is embedded twice, and no crash makes the cache lie."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rung.core.errors import RungError
from rung.runtime.embeddings.cache import EmbeddingCache, LayeredCache

WIDTH = 8


class Counting:
    """An encoder that counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, texts: list[str]) -> np.ndarray:
        self.asked += texts
        return np.array(
            [np.random.default_rng(list(text.encode()) + [7]).random(WIDTH) for text in texts], np.float32
        )


def test_each_text_is_embedded_once(tmp_path: Path) -> None:
    encode = Counting()
    cache = EmbeddingCache(tmp_path, "model", WIDTH)
    first = cache.embed(["a", "b", "a", ""], encode)
    assert encode.asked == ["a", "b", ""] and first.dtype == np.float32 and (first[0] == first[2]).all()
    again = EmbeddingCache(tmp_path, "model", WIDTH)
    assert len(again) == 3
    assert (again.embed(["", "c", "b", "a"], encode)[[3, 2, 3, 0]] == first).all()
    assert encode.asked == ["a", "b", "", "c"]
    assert again.embed([], encode).shape == (0, WIDTH)
    assert np.abs(first - Counting()(["a", "b", "a", ""])).max() < 1e-3


def test_encoders_do_not_share(tmp_path: Path) -> None:
    encode = Counting()
    EmbeddingCache(tmp_path, "model", WIDTH).embed(["a"], encode)
    EmbeddingCache(tmp_path, "model|query: ", WIDTH).embed(["a"], encode)
    EmbeddingCache(tmp_path, "model", WIDTH, "float32").embed(["a"], encode)
    assert encode.asked == ["a", "a", "a"]


@pytest.mark.parametrize("cut", range(1, 37))
def test_torn_tail_is_ignored_and_overwritten(tmp_path: Path, cut: int) -> None:
    encode = Counting()
    cache = EmbeddingCache(tmp_path, "model", WIDTH)
    whole = cache.embed(["a", "b"], encode)
    os.truncate(cache.path, cache.path.stat().st_size - cut)
    again = EmbeddingCache(tmp_path, "model", WIDTH)
    assert len(again) == 1
    assert (again.embed(["b", "a"], encode)[::-1] == whole).all()
    assert (EmbeddingCache(tmp_path, "model", WIDTH).embed(["a", "b"], encode) == whole).all()
    assert encode.asked == ["a", "b", "b"]


def test_torn_header_and_garbled_record(tmp_path: Path) -> None:
    encode = Counting()
    cache = EmbeddingCache(tmp_path, "model", WIDTH)
    whole = cache.embed(["a", "b"], encode)
    data = bytearray(cache.path.read_bytes())
    data[-40] ^= 255
    cache.path.write_bytes(data)
    assert (EmbeddingCache(tmp_path, "model", WIDTH).embed(["a", "b"], encode) == whole).all()
    assert len(encode.asked) == 3
    cache.path.write_bytes(data[:5])
    assert (EmbeddingCache(tmp_path, "model", WIDTH).embed(["a", "b"], encode) == whole).all()
    cache.path.write_bytes(b"something else altogether")
    with pytest.raises(RungError, match="not an embedding cache"):
        EmbeddingCache(tmp_path, "model", WIDTH)


def test_size_is_bounded(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path, "model", WIDTH, most_mb=0.001)
    texts = [str(number) for number in range(200)]
    first = cache.embed(texts, Counting())
    assert cache.path.stat().st_size <= 1000 and 0 < len(cache) < 200
    assert (cache.embed(texts, Counting()) == first).all()


def test_two_writers_share_a_file(tmp_path: Path) -> None:
    one, two = (EmbeddingCache(tmp_path, "model", WIDTH) for _ in range(2))
    encode = Counting()
    expected = Counting()(["a", "b", "c"]).astype(np.float16).astype(np.float32)
    one.embed(["a", "b"], encode)
    two.embed(["c", "a"], encode)
    assert (one.embed(["a", "b", "c"], encode) == expected).all()
    assert (two.embed(["a", "b", "c"], encode) == expected).all()
    assert len(EmbeddingCache(tmp_path, "model", WIDTH)) == 3


def test_wrong_shape_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RungError, match="returned"):
        EmbeddingCache(tmp_path, "model", WIDTH).embed(["a"], lambda _: np.zeros((1, 3), np.float32))


def test_killed_writer_leaves_a_readable_file(tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np\n"
        "from rung.runtime.embeddings.cache import EmbeddingCache\n"
        f"cache = EmbeddingCache(sys.argv[1], 'model', {WIDTH})\n"
        "for start in range(0, 10**9, 50):\n"
        f"    cache.embed([str(start + n) for n in range(50)], lambda t: np.array([[float(x)] * {WIDTH} for x in t]))\n"
        "    print(start, flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    for _ in range(5):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    cache = EmbeddingCache(tmp_path, "model", WIDTH)
    assert len(cache) >= 250
    found = cache.embed([str(number) for number in range(250)], lambda _: pytest.fail("embedded again"))
    assert (found[:, 0] == np.arange(250)).all()


def test_what_is_fresh_goes_to_another_folder(tmp_path: Path) -> None:
    encode = Counting()
    kept = EmbeddingCache(tmp_path / "kept", "model", WIDTH)
    first = kept.embed(["a", "b"], encode)
    layered = LayeredCache(kept, EmbeddingCache(tmp_path / "fresh", "model", WIDTH))
    found = layered.embed(["c", "b", "c", "a"], encode)
    assert (found[[3, 1]] == first).all() and (found[0] == found[2]).all()
    assert (layered.embed(["a", "c"], encode) == found[[3, 0]]).all() and encode.asked == ["a", "b", "c"]
    assert layered.embed([], encode).shape == (0, WIDTH)
    again = EmbeddingCache(tmp_path / "kept", "model", WIDTH)
    assert "a" in again and "c" not in again and len(again) == 2
