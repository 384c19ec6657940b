"""Batches hold every row once, within their limits, in an order that the seed and the epoch give."""

import numpy as np
import pytest

from rung.training.torch.batching import pad, plan_batches

LENGTHS = np.random.default_rng(0).integers(1, 200, 700)


@pytest.mark.parametrize("rows,tokens", [(32, 1 << 20), (32, 1_000), (8, 50)])
def test_every_row_once_within_the_limits(rows, tokens):
    batches = plan_batches(LENGTHS, rows, tokens, seed=3, epoch=1)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(LENGTHS)))
    for batch in batches:
        assert len(batch) <= rows
        assert len(batch) * LENGTHS[batch].max() <= tokens or len(batch) == 1


def test_order_is_a_function_of_seed_and_epoch():
    def order(seed, epoch):
        return np.concatenate(plan_batches(LENGTHS, 16, 4096, seed, epoch)).tolist()

    assert order(0, 1) == order(0, 1)
    assert order(0, 1) != order(0, 2) != order(1, 2)


def test_buckets_save_padding():
    padded = sum(len(b) * LENGTHS[b].max() for b in plan_batches(LENGTHS, 16, 1 << 20, 0, 0))
    shuffled = np.random.default_rng(0).permutation(len(LENGTHS))
    plain = sum(len(b) * LENGTHS[b].max() for b in np.array_split(shuffled, len(LENGTHS) // 16))
    assert padded < 0.7 * plain


def test_padding_has_a_mask():
    ids, mask = pad([np.array([5, 6]), np.array([7])])
    assert ids.tolist() == [[5, 6], [7, 0]]
    assert mask.tolist() == [[1, 1], [1, 0]]
