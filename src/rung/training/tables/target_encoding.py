"""Target encoding of categories for trees: each value is replaced by the smoothed mean target of its rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rung.modalities.tables.features import MIN_VALUE_ROWS, Cells
from rung.modalities.tables.tree_ensemble import TreeEncoding
from rung.training.tables.objective import Floats, Ints

# Means are shrunk towards the mean of all rows as if this many more rows had that mean.
_SMOOTHING = 10.0
# A value of at least so many rows is encoded by the mean of all of them, in training as in prediction: one
# row of a hundred hardly leaks its target, and a mean per fold would add noise. For labels that are not
# balanced, rows count by p(1 - p) relative to 1/4: where positives are rare, one of a hundred rows would leak
# its target.
_COMMON_ROWS = 100
# Rows of rare values are encoded by the rows of the other folds; many folds keep most rows of the value.
_FOLDS = 10
# Where at least this share of a column's values are rare, the number of a value's rows becomes a feature.
_MIN_RARE_SHARE = 0.1
# With more outputs, each category would become as many columns: the first ones stand for all.
_MAX_OUTPUTS = 5
# A column is shifted where single precision keeps fewer of its different values than this share.
_LEAST_DISTINCT = 0.99


def fit_tree_encoding(cells: Cells, targets: Floats) -> TreeEncoding:
    """Return the encoding learned from training cells. targets: [rows, outputs]."""
    has_gap = np.isnan(cells.numbers).any(axis=0)
    fill = np.full(cells.numbers.shape[1], np.nan)
    for j in np.flatnonzero(~has_gap).tolist():
        fill[j] = np.median(cells.numbers[:, j])
    kept = _encoding_targets(targets)
    values = tuple(_code_statistics(cells.codes[:, j], kept, size) for j, size in enumerate(cells.sizes))
    return TreeEncoding(fill, values, _shift(cells.numbers))


def _shift(numbers: Floats) -> Floats | None:
    """Return the median of each column whose numbers fall together or overflow in single precision, 0 of others; None without any.

    A few pairs of many thousand continuous numbers always fall together, and no tree is worse for it.
    """
    shift, needed = np.zeros(numbers.shape[1]), False
    for j, column in enumerate(numbers.T):
        values = np.unique(column[np.isfinite(column)])
        with np.errstate(over="ignore"):
            single = values.astype(np.float32)
        if len(np.unique(single)) < _LEAST_DISTINCT * len(values) or not np.isfinite(single).all():
            shift[j], needed = float(np.median(values)), True
    return shift if needed else None


def encode_out_of_fold(encoding: TreeEncoding, cells: Cells, targets: Floats, seed: int) -> Floats:
    """Return the category columns of training rows, rare values encoded from the rows of other folds.

    encoding: fitted on these cells and targets; common values are encoded as in `TreeEncoding.rows`. With a
    row's own target in the mean, a rare category would leak the target and trees would overfit to it.
    """
    kept = _encoding_targets(targets)
    width = kept.shape[1]
    blocks = [np.zeros((len(cells), 0))]
    fold_of = np.random.default_rng(seed).permutation(len(cells)) % _FOLDS
    weight = np.minimum(4 * kept.var(axis=0), 1.0)
    for j, codes in enumerate(cells.codes.T):
        found = encoding.values[j][codes]
        sums, counts = _target_sums(codes, kept, cells.sizes[j])
        is_rare = (counts * weight < _COMMON_ROWS)[codes]
        rows = np.flatnonzero(is_rare.any(axis=1))
        # Statistics of a code without the rows of the row's own fold.
        own = codes[rows] * _FOLDS + fold_of[rows]
        own_sums, own_counts = _target_sums(own, kept[rows], cells.sizes[j] * _FOLDS)
        rest = sums[codes[rows]] - own_sums[own], counts[codes[rows]] - own_counts[own]
        means = _smoothed_means(*rest, kept.mean(axis=0))
        found[rows, :width] = np.where(is_rare[rows], means, found[rows, :width])
        if found.shape[1] > width:
            found[:, -1] = np.log1p(counts[codes, 0] - 1)
        blocks.append(found)
    return np.hstack(blocks)


def _encoding_targets(targets: Floats) -> Floats:
    """Return the outputs that categories are encoded by: with two labels, the second alone."""
    return targets[:, 1:] if targets.shape[1] == 2 else targets[:, :_MAX_OUTPUTS]


def _code_statistics(codes: npt.NDArray[np.int32], targets: Floats, size: int) -> Floats:
    """Return [size, columns]: the features of each code; see `TreeEncoding`."""
    sums, counts = _target_sums(codes, targets, size)
    means = _smoothed_means(sums, counts, targets.mean(axis=0))
    present = counts[counts > 0]
    many_rare = (present < MIN_VALUE_ROWS).sum() >= max(_MIN_RARE_SHARE * len(present), 1)
    return np.hstack([means, np.log1p(counts)]) if many_rare else means


def _target_sums(codes: Ints | npt.NDArray[np.int32], targets: Floats, size: int) -> tuple[Floats, Ints]:
    """Return [size, outputs], the sum of targets of each code, and [size, 1], its number of rows."""
    counts: Ints = np.bincount(codes, minlength=size)[:, None]
    sums = [np.bincount(codes, weights=column, minlength=size) for column in targets.T]
    return np.column_stack(sums).astype(np.float64), counts


def _smoothed_means(sums: Floats, counts: Ints, overall: Floats) -> Floats:
    return np.asarray((sums + _SMOOTHING * overall) / (counts + _SMOOTHING))
