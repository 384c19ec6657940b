"""An encoder that lost layers, heads and units is trained towards the whole one, and answers more like it than before."""

import json
from dataclasses import replace

import numpy as np
import pytest

from rung.core.model import FitContext
from rung.modalities.text.network_model import TextInputs, open_tokenizer
from rung.modalities.text.onnx_encoder import EncoderConfig, OnnxEncoder
from rung.training.compression.smaller_encoder import first_tokens, with_layers
from rung.training.text.encoder_export import export_encoder, root_mean_squares
from rung.training.text.encoder_width import narrower
from tiny_encoder import WORDS, tiny_bert, tiny_tokenizer

pytest.importorskip("torch")
TOKENIZER = json.dumps(tiny_tokenizer())
TEXTS = [" ".join(np.random.default_rng(seed).choice(WORDS, 6)) for seed in range(60)]


def vectors(bert, folder, texts=TEXTS):
    folder.mkdir()
    export_encoder(bert, tiny_tokenizer(), folder, EncoderConfig("", 0, "mean", 32), "float32")
    return OnnxEncoder.open(folder).encode(texts, all_layers=True)


def test_layers_are_spread_and_the_last_one_stays():
    bert = tiny_bert(layers=6)
    for count, kept in ((4, (0, 2, 3, 5)), (3, (0, 2, 5)), (2, (0, 5)), (None, range(6))):
        assert [id(layer) for layer in with_layers(bert, count).layers] == [id(bert.layers[n]) for n in kept]


def test_the_parts_that_say_least_go(tmp_path):
    bert = tiny_bert(layers=2)
    # The first head and the first units of every layer are silenced: they have to go, and nothing else changes.
    silent = []
    for layer in bert.layers:
        context, down = layer.context.weight.copy(), layer.down.weight.copy()
        context[:4], down[:32] = 0, 0
        silent.append(
            replace(
                layer, context=replace(layer.context, weight=context), down=replace(layer.down, weight=down)
            )
        )
    bert = replace(bert, layers=tuple(silent))
    small = narrower(bert, TOKENIZER, TEXTS[:8], 0.5)
    assert small.heads == 1 and small.layers[0].down.weight.shape == (32, 8)
    assert small.layers[0].qkv.weight.shape == (8, 12) and small.layers[0].context.weight.shape == (4, 8)
    assert np.allclose(vectors(bert, tmp_path / "whole"), vectors(small, tmp_path / "small"), atol=1e-5)


def test_every_text_counts_alike():
    bert = tiny_bert(layers=1)
    once = root_mean_squares(bert, TOKENIZER, TEXTS[:1])
    twice = root_mean_squares(bert, TOKENIZER, TEXTS[:1] * 2)
    assert set(once) == {(0, place) for place in ("qkv", "context", "up", "down")}
    assert all(np.allclose(once[place], twice[place]) for place in once)


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_training_brings_it_nearer_to_the_whole(tmp_path, share, monkeypatch):
    from rung.training.torch import encoder_recovery

    monkeypatch.setattr(encoder_recovery, "_MOST_EPOCHS", 40)
    bert = tiny_bert(layers=6)
    whole = vectors(bert, tmp_path / "whole")
    cut = with_layers(bert, 3)
    if share < 1:
        cut = narrower(cut, TOKENIZER, TEXTS[:8], share)
    inputs = TextInputs(32, before=(1,), after=(2,), padded=False)
    ids, read = first_tokens(open_tokenizer(TOKENIZER), TEXTS, inputs)
    assert read == TEXTS
    trained = encoder_recovery.recover(cut, "mean", ids, whole, FitContext(threads=1))
    target = encoder_recovery.parts_for(whole, bert.width, 2)
    before = vectors(cut, tmp_path / "cut")
    after = vectors(trained, tmp_path / "trained")
    assert np.allclose(np.linalg.norm(target, axis=1), 1, atol=1e-5)
    assert np.square(after - target).sum() < 0.9 * np.square(before - target).sum()


def test_long_texts_are_cut_where_their_tokens_end():
    inputs = TextInputs(5, before=(1,), after=(2,), padded=False)
    ids, read = first_tokens(open_tokenizer(TOKENIZER), [" ".join(WORDS[:5]), WORDS[0], ""], inputs)
    assert read == [" ".join(WORDS[:3]), WORDS[0], ""]
    assert [len(row) for row in ids] == [5, 3, 3]
