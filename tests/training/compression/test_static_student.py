"""Static vectors of an encoder's tokens come near to what it makes of whole texts, whatever its tokenizer."""

import json

import numpy as np
import pytest

from rung.modalities.text.embedder import Embedder
from rung.modalities.text.onnx_encoder import EncoderConfig, OnnxEncoder
from rung.modalities.text.static_embedding import StaticEmbedding
from rung.modalities.text.tokenize import vocabulary_of
from rung.training.compression import static_student
from rung.training.text.encoder_export import export_encoder
from tiny_encoder import WORDS, tiny_bert, tiny_tokenizer

TEXTS = [" ".join(np.random.default_rng(seed).choice(WORDS, 5)) for seed in range(80)]


def unigram():
    """The same words as tokens of a Unigram model, which lists them with their likelihoods."""
    content = tiny_tokenizer()
    names = sorted(content["model"]["vocab"], key=content["model"]["vocab"].get)
    marked = [*names[:3], *(f"\u2581{word}" for word in names[3:])]
    content["model"] = {"type": "Unigram", "unk_id": 0, "vocab": [[name, -1.0] for name in marked]}
    content["pre_tokenizer"] = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}  # fmt: skip
    return content


@pytest.fixture(params=[tiny_tokenizer, unigram])
def encoder(request, tmp_path):
    folder = tmp_path / "encoder"
    folder.mkdir()
    export_encoder(tiny_bert(2), request.param(), folder, EncoderConfig("", 0, "mean", 32), "float32")
    engine = OnnxEncoder.open(folder)
    return Embedder("encoder", folder, engine.full_width, False, engine, None)


def test_it_is_near_to_the_encoder_on_texts_it_did_not_see(encoder, tmp_path, monkeypatch):
    def distance(folder):
        folder.mkdir()
        static_student.write_static(encoder, encoder.folder / "tokenizer.json", TEXTS[:60], folder)
        student = StaticEmbedding.open(folder)
        inside = student.encode(TEXTS[60:]) @ student.encode(TEXTS[60:]).T
        whole = encoder.embed(TEXTS[60:])
        whole = whole - encoder.embed(TEXTS[:60]).mean(axis=0)
        whole /= np.linalg.norm(whole, axis=1, keepdims=True)
        return float(np.abs(inside - whole @ whole.T).mean())

    near = distance(tmp_path / "towards")
    monkeypatch.setattr(
        static_student, "_towards", lambda means, teacher: np.eye(means.shape[1], dtype=np.float32)
    )
    assert near < 0.8 * distance(tmp_path / "alone")


def test_the_tokens_of_any_vocabulary_are_listed(encoder):
    content = json.loads((encoder.folder / "tokenizer.json").read_text())
    names = [name.lstrip("\u2581") for name, _ in vocabulary_of(content)]
    assert names[3:] == WORDS and [number for _, number in vocabulary_of(content)] == list(range(len(names)))
