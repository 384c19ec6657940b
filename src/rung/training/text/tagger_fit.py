"""Fit a tagger of fields: a conditional random field by python-crfsuite, turned into numpy's tables."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rung.core.field_values import field_values, hits_and_misses
from rung.modalities.text.linear_chain import LinearChain
from rung.modalities.text.span_features import token_features
from rung.modalities.text.spans import mark, tokens_of

# L1 and L2 penalties to try, by effort, the default first.
PENALTIES: Sequence[tuple[float, float]] = ((0.05, 0.05), (0.3, 0.01), (0.02, 0.3), (1.0, 0.02), (0.1, 1.0))
TRIED = {0: 1, 1: 1, 2: 1, 3: 3, 4: 5, 5: 5}
_ITERATIONS = {0: 40, 1: 60, 2: 100, 3: 150, 4: 200, 5: 300}


@dataclass(frozen=True)
class MarkedText:
    """A text ready for learning: features and tag of each token."""

    features: list[list[str]]
    tags: list[str]


@dataclass(frozen=True)
class MarkedRows:
    """Texts ready for learning; values that stand nowhere in their text; values that begin or end inside a token."""

    texts: list[MarkedText]
    absent: int
    inside_tokens: int


def mark_rows(texts: Sequence[str], targets: Sequence[str]) -> MarkedRows:
    """Return rows with a tag for each token: B- and I- of the field whose value stands there, O elsewhere."""
    found, absent, broken = [], 0, 0
    for text, target in zip(texts, targets, strict=True):
        tokens = tokens_of(text)
        spans, missing = mark(text, field_values(target))
        absent += missing
        tags = ["O"] * len(tokens)
        for span in spans:
            inside = [i for i, (start, end) in enumerate(tokens) if start >= span.start and end <= span.end]
            whole = inside and tokens[inside[0]][0] == span.start and tokens[inside[-1]][1] == span.end
            broken += not whole
            for i in inside if whole else ():
                tags[i] = ("B-" if i == inside[0] else "I-") + span.field
        found.append(MarkedText(token_features(text, tokens), tags))
    return MarkedRows(found, absent, broken)


def fit_chain(
    rows: Sequence[MarkedText], penalty: tuple[float, float], iterations: int, min_rows: int
) -> LinearChain:
    """Return the chain fitted on these texts. penalty: L1, L2. min_rows: how often a feature must occur."""
    import pycrfsuite

    with tempfile.TemporaryDirectory() as folder:
        trainer = pycrfsuite.Trainer(algorithm="lbfgs", verbose=False)
        trainer.set_params(
            {
                "c1": penalty[0],
                "c2": penalty[1],
                "max_iterations": iterations,
                "feature.minfreq": float(min_rows),
            }
        )
        for row in rows:
            if row.tags:
                trainer.append(row.features, row.tags)
        place = Path(folder) / "model"
        trainer.train(str(place))
        tagger = pycrfsuite.Tagger()
        tagger.open(str(place))
        try:
            parts = tagger.info()
            states, moves, labels = dict(parts.state_features), dict(parts.transitions), set(parts.labels)
        finally:
            tagger.close()
    return _tables(states, moves, labels)


def _tables(
    states: Mapping[tuple[str, str], float], moves: Mapping[tuple[str, str], float], labels: set[str]
) -> LinearChain:
    """Return the chain of these weights, features without weight left out."""
    tags = sorted(labels | {"O"})
    column = {tag: place for place, tag in enumerate(tags)}
    features = sorted({feature for (feature, _), weight in states.items() if weight})
    row = {feature: place for place, feature in enumerate(features)}
    weights = np.zeros((len(features), len(tags)), dtype=np.float32)
    for (feature, tag), weight in states.items():
        if weight:
            weights[row[feature], column[tag]] = weight
    transitions = np.zeros((len(tags), len(tags)))
    for (before, after), weight in moves.items():
        transitions[column[before], column[after]] = weight
    return LinearChain(tags, features, weights, transitions)


def search_penalty(
    texts: Sequence[str],
    targets: Sequence[str],
    rows: Sequence[MarkedText],
    effort: int,
    seed: int,
    predict: Callable[[LinearChain, str], str],
    report: Callable[[int, int], None],
) -> tuple[tuple[float, float], dict[str, float]]:
    """Return the penalties with the best F1 on a fifth of the rows, and what each scored; without effort the default.

    predict: returns the canonical text of the fields that a chain finds in a text.
    """  # fmt: skip
    tried = PENALTIES[: TRIED[effort]]
    if len(tried) == 1 or len(texts) < 50:
        return PENALTIES[0], {}
    order = np.random.default_rng(seed).permutation(len(texts)).tolist()
    held, kept = order[: len(order) // 5], order[len(order) // 5 :]
    scores: dict[tuple[float, float], float] = {}
    for number, penalty in enumerate(tried, 1):
        chain = fit_chain([rows[i] for i in kept], penalty, _ITERATIONS[effort], 1)
        scores[penalty] = f1_of([targets[i] for i in held], [predict(chain, texts[i]) for i in held])
        report(number, len(tried))
    best = max(tried, key=lambda penalty: scores[penalty])
    return best, {f"L1 {a:g}, L2 {b:g}": round(score, 4) for (a, b), score in scores.items()}


def iterations_of(effort: int) -> int:
    """Return the most iterations of a fit."""
    return _ITERATIONS[effort]


def f1_of(targets: Sequence[str], answers: Sequence[str]) -> float:
    """Return F1 of all values."""
    total = np.zeros(3)
    for target, answer in zip(targets, answers, strict=True):
        names = set(field_values(target)) | set(field_values(answer))
        for counts in hits_and_misses(target, answer, dict.fromkeys(names, 1_000)).values():
            total += counts
    hits, false, missed = total.tolist()
    return 2 * hits / max(2 * hits + false + missed, 1.0)
