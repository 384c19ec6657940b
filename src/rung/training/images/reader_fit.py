"""Choose the score from which a line counts, and learn which line holds which field, on training images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rung.core.errors import RungError
from rung.core.model import FitContext
from rung.core.types import Examples
from rung.modalities.images.read_fields import (
    MEASURES,
    FieldFinder,
    Fields,
    fields_of,
    fields_text,
    measures_of,
)
from rung.modalities.images.reader_model import legible
from rung.modalities.images.reading import read_sizes
from rung.modalities.images.reading_metrics import edit_distance, error_rate, normalised
from rung.modalities.images.text_lines import Lines, TextLine, as_text
from rung.modalities.images.text_reader import TextReader

# Training images that are read, times the effort: reading takes half a second.
_ROWS = 100
_LEAST_SCORES = (0.0, 0.3, 0.5, 0.6, 0.7, 0.8)
_LEAST_CHANCES = (0.1, 0.2, 0.3, 0.5, 0.7)
# A line holds a field where its end differs from the value by at most this share of it.
_MOST_DIFFERENT = 0.34
# Words before a value that so many documents share are its prefix.
_PREFIX_DOCUMENTS, _PREFIX_SHARE = 3, 0.1
_AT_ONCE = 8

Page = tuple[float, float]


@dataclass(frozen=True)
class FittedReader:
    """reader: with the chosen least score. finder: of fields; None for whole texts. chosen: for the report."""

    reader: TextReader
    finder: FieldFinder | None
    chosen: Mapping[str, Any]


@dataclass(frozen=True)
class _Document:
    rows: Sequence[Lines]
    truth: Any
    page: Page

    def lines(self, least: float) -> Lines:
        return tuple(piece for row in legible(self.rows, least) for piece in row)


def fit_reader(
    reader: TextReader,
    examples: Examples,
    least_score: float | None,
    most_rows: int | None,
    context: FitContext,
) -> FittedReader:
    """Return the reader with what training images show. least_score, most_rows: None goes by the images and the effort."""
    documents = _read(reader, examples, most_rows or _ROWS * max(context.effort, 1), context)
    names = _names(examples)
    least = least_score
    if least is None:
        least = 0.5 if names else _best_score(documents)
    chosen: dict[str, Any] = {"least_score": least, "documents_read": len(documents)}
    finder = None
    if names:
        finder = _fit_fields(names, documents, least, context.seed)
        found = Counter(name for d in documents for name in finder.find(d.lines(least), d.page))
        chosen |= {
            "fields": len(names),
            "least_chance": finder.least,
            "not_found": ", ".join(n for n in names if not found[n]),
        }
    fitted = TextReader.of(reader, replace(reader.config, least_score=least))
    return FittedReader(fitted, finder, {k: v for k, v in chosen.items() if v != ""})


def _read(reader: TextReader, examples: Examples, most: int, context: FitContext) -> list[_Document]:
    """Return training documents as the reader reads them, spread over the training rows."""
    ((_, images),) = examples.inputs.items()
    rows = list(range(0, len(examples), -(-len(examples) // most)))
    found: list[_Document] = []
    for begin in range(0, len(rows), _AT_ONCE):
        if context.cancelled():
            break
        piece = rows[begin : begin + _AT_ONCE]
        for row, read in zip(piece, reader.read([images[i] for i in piece]), strict=True):
            page = read_sizes([images[row]])[0].tolist() if images[row] is not None else [1, 1]
            found.append(_Document(read, examples.targets[row], (page[0], page[1])))
        context.report(begin + len(piece), len(rows))
    if not found:
        raise RungError("the time was up before an image was read", "budget.minutes", "Give it more.")
    return found


def _names(examples: Examples) -> tuple[str, ...]:
    if examples.schema.outputs[0].kind != "fields":
        return ()
    return next(field.values for field in examples.schema.outputs if field.name == "field")


def _best_score(documents: Sequence[_Document]) -> float:
    """Return the least score of a line with which the mean error rate is least; of equal ones the one in the middle."""
    means = [
        float(np.mean([error_rate(d.truth, as_text(legible(d.rows, least))) for d in documents]))
        for least in _LEAST_SCORES
    ]
    best = [score for score, mean in zip(_LEAST_SCORES, means, strict=True) if mean <= min(means) + 1e-9]
    return best[len(best) // 2]


def _fit_fields(
    names: tuple[str, ...], documents: Sequence[_Document], least_score: float, seed: int
) -> FieldFinder:
    measured, classes, prefixes = [], [], {name: Counter[str]() for name in names}
    for document in documents:
        lines = document.lines(least_score)
        holds = _holders(fields_of(document.truth), lines)
        for place, line in enumerate(lines):
            name, prefix = holds.get(place, ("", ""))
            measured.append(measures_of(line, document.page))
            classes.append(names.index(name) if name else len(names))
            if name and prefix:
                prefixes[name][prefix] += 1
    finder = _softmax(names, np.array(measured).reshape(len(classes), MEASURES), np.array(classes, int), seed)
    least = max(_PREFIX_DOCUMENTS, int(_PREFIX_SHARE * len(documents)))
    kept = {
        name: tuple(sorted((word for word, n in found.items() if n >= least), key=len, reverse=True))
        for name, found in prefixes.items()
    }
    finder = replace(finder, prefixes={name: words for name, words in kept.items() if words})
    return replace(finder, least=_best_chance(finder, documents, least_score))


def _holders(fields: Fields, lines: Sequence[TextLine]) -> dict[int, tuple[str, str]]:
    """Return which lines hold a field: place -> its name and what stands before its value. The closest pairs first."""
    pairs = []
    for name, value in fields:
        true = normalised(value)
        for place, line in enumerate(lines):
            said = normalised(line.text)
            end = said[-len(true) :]
            different = edit_distance(true, end) / max(len(true), 1)
            if different <= _MOST_DIFFERENT:
                prefix = said[: -len(true)].strip() if different == 0 else ""
                pairs.append((different, len(said), name, place, prefix))
    found: dict[int, tuple[str, str]] = {}
    taken: set[str] = set()
    for _, _, name, place, prefix in sorted(pairs):
        if place not in found and name not in taken:
            found[place] = (name, prefix)
            taken.add(name)
    return found


def _softmax(names: tuple[str, ...], measured: Any, classes: Any, seed: int) -> FieldFinder:
    """Return a softmax over fields and "none"; a field that no line held is never answered."""
    from sklearn.linear_model import LogisticRegression

    weights = np.zeros((MEASURES, len(names) + 1))
    bias = np.append(np.full(len(names), -50.0), 0.0)
    mean, spread = np.zeros(MEASURES), np.ones(MEASURES)
    known = np.unique(classes)
    if len(known) > 1:
        mean, spread = measured.mean(axis=0), measured.std(axis=0) + 1e-6
        model = LogisticRegression(C=1.0, max_iter=1000, random_state=seed)
        model.fit((measured - mean) / spread, classes)
        logits, offsets = model.coef_, model.intercept_
        if len(known) == 2:  # scikit-learn keeps one row of two
            logits, offsets = np.vstack([-logits, logits]) / 2, np.append(-offsets, offsets) / 2
        weights[:, known], bias[known] = logits.T, offsets
    elif len(known) and known[0] < len(names):
        bias[known[0]] = 50.0
    return FieldFinder(
        names,
        tuple(mean.tolist()),
        tuple(spread.tolist()),
        tuple(tuple(row) for row in weights.tolist()),
        tuple(bias.tolist()),
    )


def _best_chance(finder: FieldFinder, documents: Sequence[_Document], least_score: float) -> float:
    """Return the probability from which a field is answered with which the mean error rate is least."""

    def mean(least: float) -> float:
        asked = replace(finder, least=least)
        rates = []
        for document in documents:
            found = asked.find(document.lines(least_score), document.page)
            rates.append(
                error_rate(document.truth, fields_text({name: text for name, (text, _) in found.items()}))
            )
        return float(np.mean(rates))

    return min(_LEAST_CHANCES, key=mean)
