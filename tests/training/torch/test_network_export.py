"""Exported networks answer as torch does: different tensors for each input, several shapes, masked padding."""

import numpy as np
import onnxruntime
import pytest
import torch

from rung.training.torch.text_network_onnx import write_network
from rung.training.torch.text_networks import NetworkShape, TokenEmbedding, make_network

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
