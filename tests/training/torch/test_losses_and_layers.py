"""Losses against torch's own, and gradients of our layers against finite differences."""

import numpy as np
import torch
from torch.autograd import gradcheck
from torch.nn import functional

from rung.training.torch.losses import classification_loss, multilabel_loss, regression_loss, row_weights
from rung.training.torch.text_networks import (
    AttentionPooling,
    NetworkShape,
    TokenEmbedding,
    TransformerLayer,
    masked_mean,
)

LOGITS = torch.randn(7, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
CODES = torch.tensor([0, 1, 2, 3, 0, 0, 1])


def test_cross_entropy_with_class_weights_and_smoothing_is_that_of_torch():
    by_label = torch.tensor([0.5, 1.0, 2.0, 3.0], dtype=torch.float64)
    weights = by_label[CODES]
    ours = classification_loss(LOGITS, CODES, weights) / weights.sum()
    assert torch.allclose(ours, functional.cross_entropy(LOGITS, CODES, weight=by_label))
    ones = torch.ones(7, dtype=torch.float64)
    smooth = classification_loss(LOGITS, CODES, ones, smoothing=0.2) / 7
    assert torch.allclose(smooth, functional.cross_entropy(LOGITS, CODES, label_smoothing=0.2))


def test_focal_loss_is_its_formula_and_zero_is_cross_entropy():
    chance = torch.softmax(LOGITS, 1)[torch.arange(7), CODES]
    ones = torch.ones(7, dtype=torch.float64)
    expected = (-((1 - chance) ** 2) * chance.log()).sum()
    assert torch.allclose(classification_loss(LOGITS, CODES, ones, focal=2.0), expected)


def test_balanced_weights_give_labels_equal_totals():
    weights = row_weights(np.array([0, 0, 0, 1, 2, 2]), 4, balanced=True)
    assert np.allclose(np.bincount([0, 0, 0, 1, 2, 2], weights), 2.0)
    assert np.allclose(row_weights(np.array([0, 0, 1]), 2, balanced=False), 1.0)


def test_other_losses_are_those_of_torch():
    marks, ones = (LOGITS > 0).double(), torch.ones(7, dtype=torch.float64)
    expected = functional.binary_cross_entropy_with_logits(LOGITS, marks) * 7
    assert torch.allclose(multilabel_loss(LOGITS, marks, ones), expected)
    assert torch.allclose(regression_loss(LOGITS[:, 0], ones, ones), ((LOGITS[:, 0] - 1) ** 2).sum())


def test_gradients_equal_finite_differences():
    torch.manual_seed(0)
    states = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0]], dtype=torch.float64)
    pooling = AttentionPooling(4).double()
    shape = NetworkShape("transformer", 5, 2, width=4, hidden=6, heads=2, dropout=0.0)
    layer = TransformerLayer(shape).double()
    bias = ((1.0 - mask) * -1e9)[:, None, None]
    ones = torch.ones(7, dtype=torch.float64)
    logits = LOGITS.clone().requires_grad_()
    assert gradcheck(lambda x: masked_mean(x, mask), states)
    assert gradcheck(lambda x: pooling(x, mask), states)
    assert gradcheck(lambda x: layer(x, bias), states)
    assert gradcheck(lambda x: classification_loss(x, CODES, ones, 0.1, 1.5), logits)


def test_only_tokens_seen_move_from_given_vectors():
    table = np.arange(12, dtype=np.float32).reshape(6, 2)
    embedding = TokenEmbedding.from_table(table, np.array([1, 4]))
    assert np.array_equal(embedding.table(), table)
    optimizer = torch.optim.SGD(embedding.parameters(), lr=1.0)
    embedding(torch.tensor([[1, 2, 4, 0]])).sum().backward()
    optimizer.step()
    moved = np.flatnonzero((embedding.table() != table).any(axis=1))
    assert moved.tolist() == [1, 4]
