"""Exported networks answer as torch does, for several shapes and with masked padding; all train in half precision."""

import numpy as np
import onnxruntime
import pytest
import torch

from rung.core.model import FitContext
from rung.core.training_params import ClassifierParams
from rung.training.torch.text_classifier import TextLearner, TokenRows
from rung.training.torch.text_network_onnx import write_network
from rung.training.torch.text_networks import NetworkShape, TokenEmbedding, make_network
from rung.training.torch.trainer import train

SHAPES = [(1, 1), (2, 7), (5, 13), (3, 40), (8, 2)]


@pytest.mark.parametrize("architecture", ["mlp", "cnn_text", "lstm", "gru", "transformer"])
def test_onnx_and_torch_agree(architecture):
    torch.manual_seed(0)
    shape = NetworkShape(architecture, 50, 3, width=16, hidden=12, layers=2, heads=4, max_tokens=40)
    network = make_network(shape, TokenEmbedding(50, 16)).eval()
    session = onnxruntime.InferenceSession(write_network(network, 3), providers=["CPUExecutionProvider"])
    draw = np.random.default_rng(0)
    for rows, tokens in SHAPES:
        ids = draw.integers(0, 50, (rows, tokens))
        lengths = draw.integers(1, tokens + 1, rows)
        mask = (np.arange(tokens) < lengths[:, None]).astype(np.int64)
        (found,) = session.run(["logits"], {"input_ids": ids, "attention_mask": mask})
        with torch.no_grad():
            expected = network(torch.as_tensor(ids), torch.as_tensor(mask, dtype=torch.float32)).numpy()
            alone = [
                network(torch.as_tensor(ids[[row], :length]), torch.ones(1, int(length))).numpy()[0]
                for row, length in enumerate(lengths)
            ]
        assert np.abs(found - expected).max() < 1e-4
        assert np.abs(found - np.array(alone)).max() < 1e-4


@pytest.mark.parametrize("architecture", ["mlp", "cnn_text", "lstm", "gru", "transformer"])
def test_networks_train_in_half_precision(architecture):
    torch.manual_seed(0)
    shape = NetworkShape(architecture, 50, 2, width=16, hidden=12, layers=1, heads=4, max_tokens=12)
    draw = np.random.default_rng(0)
    ids = [draw.integers(0, 50, draw.integers(1, 12)).tolist() for _ in range(24)]
    rows = TokenRows(ids, np.array([row[0] % 2 for row in ids]))
    params = ClassifierParams(epochs=2, precision="bf16", focal=1.0, class_weight="balanced")
    learner = TextLearner(make_network(shape, TokenEmbedding(50, 16)), rows, 2, params, FitContext(), rows)
    history = train(learner, params, FitContext())
    assert np.isfinite(history.losses).all() and len(history.scores) == 2
