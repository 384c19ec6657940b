"""Check for series of nearly the same photo: files that follow each other look alike far more than others of their label."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from rung.data.prepare.near_media import media_fields, near_vectors
from rung.data.profile.finding import Finding
from rung.data.profile.view import View

KINDS = frozenset({"image"})
TARGETS = True
WHEN = "build"
Floats = npt.NDArray[np.float32]
# Files that follow each other are alike when more so than this share of random pairs of their label.
_QUANTILE = 0.99
# Without bursts one pair in a hundred is; from this share on it is no chance.
_SHARE = 0.10
# Where bursts are long, random pairs are often of one burst too: then the mean rank of the following pairs among random
# ones tells, 0.5 without bursts.
_RANK, _LONG_QUANTILE = 0.75, 0.9
_LEAST_PAIRS, _RANDOM_PAIRS, _MOST_ROWS = 50, 4_000, 20_000


def check(view: View) -> Finding | None:
    """Return the rows whose files are much like the file before or after them, if there are far more than by chance.

    Only without `data.group`. Compared within a label: names of files that follow the label would otherwise look like bursts.
    """
    train = view.train
    fields = media_fields(view.dataset.schema.inputs)[:1]
    if view.product.data.group or not fields or not 2 * _LEAST_PAIRS <= len(train) <= _MOST_ROWS:
        return None
    column = train.inputs[fields[0].name]
    found = near_vectors(fields, {fields[0].name: column})
    if not found:
        return None
    pairs, near, random = _pairs(found[0], [str(blob) for blob in column], [str(t) for t in train.targets])
    if len(pairs) < _LEAST_PAIRS:
        return None
    rank = np.array(
        [np.searchsorted(usual, value) / len(usual) for value, usual in zip(near, random, strict=True)]
    )
    alike = pairs[rank >= _QUANTILE]
    if len(alike) < _SHARE * len(pairs):
        if rank.mean() < _RANK:
            return None
        alike = pairs[rank >= _LONG_QUANTILE]
    marked = list(dict.fromkeys(alike.ravel().tolist()))
    values = {"pairs": len(alike), "all_pairs": len(pairs)}
    return Finding("bursts", "warn", len(marked), len(train), values, view.evidence(marked))


def _pairs(
    vectors: Floats, names: list[str], labels: list[str]
) -> tuple[npt.NDArray[np.int64], list[float], list[Floats]]:
    """Return [pairs, 2] rows whose files follow each other within a label, how alike they are, and how alike random pairs are.

    The likeness of random pairs is sorted, one array a pair: that of its label.
    """
    rng = np.random.default_rng(0)
    by_label: dict[str, list[int]] = {}
    for row in sorted(range(len(names)), key=lambda i: _natural(names[i])):
        if vectors[row].any():
            by_label.setdefault(labels[row], []).append(row)
    pairs: list[tuple[int, int]] = []
    near: list[float] = []
    random: list[Floats] = []
    for rows in by_label.values():
        if len(rows) < 4:
            continue
        chosen = np.array(rows)
        left, right = rng.integers(0, len(rows), (2, _RANDOM_PAIRS))
        apart = np.abs(left - right) > 1
        usual = np.sort(np.einsum("ij,ij->i", vectors[chosen[left[apart]]], vectors[chosen[right[apart]]]))
        following = list(pairwise(rows))
        pairs.extend(following)
        near.extend(float(vectors[a] @ vectors[b]) for a, b in following)
        random.extend([usual] * len(following))
    return np.array(pairs, np.int64).reshape(-1, 2), near, random


def _natural(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts `img_9` before `img_10`."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"([0-9]+)", name)]
