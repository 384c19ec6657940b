"""`rung inspect` shows layers of ONNX files and tensors of others, in both languages, and draws them."""

import json
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import torch

from rung.pages.architecture import shares
from rung.serving.architecture import bundle_parts
from rung.training.torch.text_network_onnx import write_network
from rung.training.torch.text_networks import NetworkShape, TokenEmbedding, make_network
from support import run_cli


@pytest.fixture
def model(tmp_path):
    """A network over token ids with known sizes."""
    torch.manual_seed(0)
    shape = NetworkShape("mlp", 50, 3, width=16, hidden=12)
    path = tmp_path / "model.onnx"
    path.write_bytes(write_network(make_network(shape, TokenEmbedding(50, 16)).eval(), 3))
    return path


def test_layers_of_a_file_with_their_weights(model):
    (part,) = bundle_parts(model)
    known = {layer.weight_bytes for layer in part.layers}
    assert any(abs(size - 50 * 16 * 4) <= 32 for size in known), known  # the table of tokens
    assert any(abs(size - 4 * (16 * 12 + 12)) <= 64 for size in known), known  # the hidden layer
    assert part.layers[-1].shape == (1, 3)
    assert np.allclose(np.array(shares(part.as_dict()["layers"])).sum(axis=0), 1.0)


@pytest.mark.parametrize("language,word", [("en", "output shape"), ("zh", "输出形状")])
def test_it_is_printed_and_drawn_in_both_languages(model, language, word, tmp_path):
    done = run_cli("inspect", model, "--svg", tmp_path / "model.svg", "--lang", language)
    assert done.returncode == 0 and word in done.stdout
    drawn = ElementTree.fromstring((tmp_path / "model.svg").read_text(encoding="utf-8"))
    assert len(drawn.findall("{*}rect")) == 2 * len(bundle_parts(model)[0].layers)


def test_tensors_of_a_bundle_without_onnx(built):
    found = json.loads(run_cli("inspect", built.bundle, "--json").stdout)
    assert {part["file"].rsplit(".", 1)[1] for part in found} == {"safetensors"}
    assert {"weights", "bias"} <= {tensor["name"] for part in found for tensor in part["tensors"]}


def test_what_cannot_be_inspected_says_so(tmp_path):
    assert "no such bundle" in run_cli("inspect", tmp_path / "none").stderr
    (tmp_path / "model.onnx").write_bytes(b"not a model")
    done = run_cli("inspect", tmp_path / "model.onnx")
    assert done.returncode == 0 and "No layers shown" in done.stdout
