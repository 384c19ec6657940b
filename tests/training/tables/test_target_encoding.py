"""Categories as the mean target of their rows: what a row's own target may do there."""

import numpy as np
import pytest

from rung.modalities.tables.features import Cells
from rung.training.tables.target_encoding import encode_out_of_fold, fit_tree_encoding


def column_of(codes, positive):
    """Return the category's column in training, and as it is read later."""
    cells = Cells(np.zeros((len(codes), 0)), np.asarray(codes, np.int32)[:, None], (max(codes) + 3,))
    targets = np.eye(2)[positive.astype(int)]
    design = fit_tree_encoding(cells, targets)
    return encode_out_of_fold(design, cells, targets, 0)[:, 0], design.rows(cells)[:, 0]


def test_a_common_value_stands_as_it_is_read_later_and_a_rare_one_without_its_own_target():
    codes = np.concatenate([np.repeat([0, 1], 200), np.repeat(np.arange(2, 22), 5)])
    positive = np.random.default_rng(0).random(len(codes)) < 0.5
    found, later = column_of(codes, positive)
    assert found[codes < 2] == pytest.approx(later[codes < 2], abs=1e-6)
    flipped = positive.copy()
    flipped[-1] = not flipped[-1]
    assert column_of(codes, flipped)[0][-1] == pytest.approx(found[-1], abs=0.01)
    assert abs(column_of(codes, flipped)[1][-1] - later[-1]) > 0.05


def test_where_positives_are_rare_a_value_of_a_hundred_rows_does_not_give_them_away():
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 300, 30_000)
    positive = rng.random(len(codes)) < 0.002
    found, later = column_of(codes, positive)
    told = [column[positive].mean() - column[~positive].mean() for column in (found, later)]
    assert told[0] < 0.1 * told[1]


def test_values_that_a_fold_lacks_have_their_place():
    """The last values of a column may all be among the rows that a fold holds out."""
    cells = Cells(np.zeros((6, 0)), np.arange(6, dtype=np.int32)[:, None], (8,))
    design = fit_tree_encoding(cells.take(np.array([0, 1])), np.eye(2)[[0, 1]])
    assert design.rows(cells)[2:, 0] == pytest.approx(0.5)


def test_rare_values_become_another_one_and_gaps_stay():
    codes = np.array([[0], [0], [0], [1], [3], [0]], dtype=np.int32)
    merged = Cells(np.zeros((6, 0)), codes, (4,)).merged(3)
    assert merged.codes[:, 0].tolist() == [0, 0, 0, 2, 3, 0]
    assert codes[3, 0] == 1


def test_where_many_values_have_a_row_or_two_it_is_said_how_many_others_a_value_has():
    codes = np.concatenate([np.repeat([0, 1], 200), np.repeat([2, 3, 4], 2), [5]]).astype(np.int32)
    cells = Cells(np.zeros((len(codes), 0)), codes[:, None], (8,))
    targets = np.eye(2)[np.arange(len(codes)) % 2]
    design = fit_tree_encoding(cells, targets)
    apart = encode_out_of_fold(design, cells, targets, 0)
    others = np.expm1(apart[:, -1])
    assert others == pytest.approx(np.where(codes < 2, 199, np.where(codes < 5, 1, 0)))
    # A new row has all of training as others: one that training never saw has none.
    asked = Cells(np.zeros((3, 0)), np.array([[0], [5], [6]], np.int32), (8,))
    assert np.expm1(design.rows(asked)[:, -1]) == pytest.approx([200, 1, 0], rel=1e-5)
    assert design.sources.tolist() == [0, 0]
    common = cells.take(np.arange(400))
    assert fit_tree_encoding(common, targets[:400]).sources.tolist() == [0]
