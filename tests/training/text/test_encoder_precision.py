"""8 bits are taken where they were measured to be faster and as good, and float32 where they were not."""

import pytest

from rung.modalities.text.onnx_encoder import EncoderConfig
from rung.runtime.weights.store import cache_folder
from rung.training.text import encoder_precision
from rung.training.text.encoder_precision import best_encoder_folder, measure_int8


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """A cache of the test's own, with the weights of the usual one."""
    (tmp_path / "weights").symlink_to(cache_folder() / "weights")
    monkeypatch.setenv("RUNG_CACHE", str(tmp_path))


def test_it_is_measured_once_and_holds_for_this_processor(minilm, own_cache, monkeypatch):
    found = measure_int8(minilm)
    assert found["least_cosine"] > 0.99 and found["speed_up"] > 0
    assert EncoderConfig.read(best_encoder_folder(minilm)).variant == found["variant"]
    monkeypatch.setattr(encoder_precision, "_encoding_seconds", lambda _: pytest.fail("measured again"))
    assert measure_int8(minilm) == found
    monkeypatch.setattr(encoder_precision, "_processor_name", lambda: "another")
    with pytest.raises(pytest.fail.Exception):
        measure_int8(minilm)


@pytest.mark.parametrize("cause", ["slower", "worse"])
def test_float32_where_8_bits_do_not_pay(minilm, own_cache, monkeypatch, cause):
    if cause == "slower":
        seconds = iter([1.0, 1.5])
        monkeypatch.setattr(encoder_precision, "_encoding_seconds", lambda _: next(seconds))
    else:
        monkeypatch.setattr(
            encoder_precision,
            "_encoding_seconds",
            lambda encoder: 2.0 if encoder.config.variant == "float32" else 1.0,
        )
        monkeypatch.setattr(encoder_precision, "MIN_COSINE", 0.99999)
    folder = best_encoder_folder(minilm)
    assert EncoderConfig.read(folder).variant == "float32" and measure_int8(minilm)["variant"] == "float32"


def test_what_is_published_as_it_is_is_not_measured(bge_small, monkeypatch):
    monkeypatch.setattr(encoder_precision, "measure_int8", lambda _: pytest.fail("measured"))
    assert EncoderConfig.read(best_encoder_folder(bge_small)).variant == "as published"
