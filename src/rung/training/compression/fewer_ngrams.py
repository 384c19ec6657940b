"""Keep the n-grams that decide most, and fit the head on those alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core import registry
from rung.modalities.text.ngrams import join_fields, normalize_text
from rung.modalities.text.tfidf import SparseRows, TfidfBlock, load_blocks, transform
from rung.runtime.linear.head import LinearHead
from rung.training.compression.recipe import Make, Source
from rung.training.linear.feature_matrix import FeatureMatrix
from rung.training.linear.label_sets import codes_of, search_and_fit_classes

Floats = npt.NDArray[np.float64]
_LEAST = 100


def keep_share(share: float) -> Make:
    """Return the recipe that keeps this share of the n-grams."""
    return partial(_keep, share=share)


def _keep(source: Source, folder: Path, share: float) -> str:
    """Write the model over its most decisive n-grams: how far each moves the scores of training rows, on average.

    The head is fitted anew on what is left, of the kind and strength that the search had chosen: the rows are scaled to length
    1, and with fewer n-grams those left weigh more.
    """
    head, facts, arrays = LinearHead.load(source.folder, source.schema.classes)
    blocks = load_blocks(facts["blocks"], arrays)
    texts = [normalize_text(text) for text in join_fields(source.learn.inputs)]
    keep = _strongest(transform(texts, blocks), head.weights, share)
    kept = _parts(blocks, keep)
    codes, chosen = codes_of(source.learn.targets, source.schema), dict(facts["chosen"])
    sets = {"kept": FeatureMatrix((_matrix(transform(texts, kept)),))}
    strength = [(chosen["head"], float(chosen["c"]))]
    _, small, _ = search_and_fit_classes(sets, codes, source.schema.classes, strength, source.context)
    chosen["features_kept"] = int(keep.sum())
    family: Any = registry.model(source.family)
    family(source.schema.classes, kept, small, chosen, facts.get("shares", ())).save(folder)
    return source.family


def _strongest(rows: SparseRows, weights: npt.NDArray[np.float32], share: float) -> npt.NDArray[np.bool_]:
    """Return which columns to keep: those with the largest mean square of value times spread of the labels' weights."""
    squares = np.bincount(rows.columns, rows.values.astype(np.float64) ** 2, minlength=rows.width)
    apart = weights.astype(np.float64) - weights.mean(axis=1, keepdims=True, dtype=np.float64)
    strength = squares * (apart**2).sum(axis=1)
    count = min(max(round(share * rows.width), _LEAST), rows.width)
    found = np.zeros(rows.width, dtype=bool)
    found[np.argsort(-strength, kind="stable")[:count]] = True
    return found


def _parts(blocks: Sequence[TfidfBlock], keep: npt.NDArray[np.bool_]) -> tuple[TfidfBlock, ...]:
    found, begin = [], 0
    for block in blocks:
        own = keep[begin : begin + len(block.buckets)]
        begin += len(block.buckets)
        found.append(replace(block, buckets=block.buckets[own], idf=block.idf[own]))
    return tuple(found)


def _matrix(rows: SparseRows) -> Any:
    from scipy.sparse import csr_matrix

    return csr_matrix((rows.values.astype(np.float64), rows.columns, rows.starts), (len(rows), rows.width))
