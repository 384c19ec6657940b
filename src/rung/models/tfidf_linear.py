"""Word and character n-grams with TF-IDF weights and a linear head: fits in seconds, predicts in
microseconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from rung.core.model import Cost, DataFacts, FitContext, Model, Reason
from rung.core.types import Columns, Examples, Prediction, Schema
from rung.modalities.text.ideographs import Weighted, join_ideographs
from rung.modalities.text.ngrams import join_fields, normalize_text, occurrences, word_spans
from rung.modalities.text.tfidf import (
    SparseRows,
    TfidfBlock,
    dump_blocks,
    find_columns,
    known_share,
    load_blocks,
    transform,
)
from rung.runtime.linear.head import LinearHead

# Characters of training text up to which character n-grams are tried, by effort: they cost the most time and
# gain most on short and few texts.
_CHARS_TRIED = {0: 0, 1: 0, 2: 6_000_000, 3: 20_000_000, 4: 60_000_000, 5: 200_000_000}


@dataclass(frozen=True)
class TfidfLinearParams:
    """Parameters; None and "auto" are searched on training rows within the effort.

    words: longest word n-gram; None: two, or three in scripts where a character is a word. by_label: weight
    n-grams by how differently two labels use them, if that gains.
    """

    words: int | None = None
    chars: tuple[int, int] = (2, 5)
    use_chars: bool | None = None
    chars_weight: float = 0.7
    head: Literal["auto", "svc", "ridge", "logistic"] = "auto"
    c: float | None = None
    class_weight: Literal["auto", "none", "balanced"] = "auto"
    augment: Literal["none", "words", "chars", "auto"] = "none"
    min_rows: int | None = None
    most_features: int = 300_000
    by_label: bool = True


class TfidfLinear(Model):
    """Use it first: on topics, tickets and intents with hundreds of rows or more it is hard to beat."""

    NEEDS = "build"
    PACKAGES = ("sklearn", "scipy")
    TASKS = frozenset({"text_classification", "text_multilabel"})
    Params = TfidfLinearParams

    def __init__(
        self,
        labels: tuple[str, ...],
        blocks: tuple[TfidfBlock, ...],
        head: LinearHead,
        chosen: Mapping[str, Any],
        shares: Sequence[float] = (),
    ) -> None:
        """shares: of the labels among training rows; empty in bundles of version 0.1."""
        self.labels = labels
        self._shares = np.array(shares)
        self._blocks = blocks
        self._head = head
        self._chosen = dict(chosen)

    @classmethod
    def fit(cls, examples: Examples, params: TfidfLinearParams, context: FitContext) -> Self:
        cls.require()
        from rung.training.linear.search import candidate_heads, encode_labels, fit_head, search
        from rung.training.text.augmentation_search import search_augmentation, vstack_matrices
        from rung.training.text.ngram_candidates import ngram_feature_sets
        from rung.training.text.term_weighting import weight_terms_by_label

        texts = [normalize_text(text) for text in join_fields(examples.inputs)]
        if examples.schema.label_set:
            return cls._fit_sets(texts, examples, params, context)
        labels = examples.schema.labels
        codes = encode_labels(examples.targets, labels)
        sets, blocks = ngram_feature_sets(texts, params, _CHARS_TRIED[context.effort])
        heads = candidate_heads(params.head, params.c, context.effort)
        found = search(sets, codes, len(labels), heads, context, params.class_weight)
        name = found.candidate.features
        matrix, used = sets[name], blocks[name]
        weighted = weight_terms_by_label(matrix, used, codes, found, context) if params.by_label else None
        if weighted:
            matrix, used, found = weighted.matrix, weighted.blocks, weighted.found
        extra = search_augmentation(texts, used, codes, found, params.augment, context)
        last = None
        if extra is not None:
            last = vstack_matrices(matrix, extra.matrix), np.concatenate([codes, extra.codes])
        head = fit_head(matrix, codes, len(labels), found, context, last)
        chosen = {
            **asdict(found.candidate),
            "features_kept": int(sum(len(block.buckets) for block in used)),
            "by_label": weighted is not None,
            "augment": extra.kind if extra is not None else "none",
            "calibration": head.calibration.kind,
            "search_accuracy": round(found.accuracy, 4),
            "search_rows": len(found.rows),
            "candidates_tried": len(found.results),
        }
        shares = np.bincount(codes, minlength=len(labels)) / len(codes)
        return cls(labels, used, head, chosen, shares.tolist())

    @classmethod
    def _fit_sets(
        cls, texts: list[str], examples: Examples, params: TfidfLinearParams, context: FitContext
    ) -> Self:
        """Return the model for rows with several labels: one head a label, over the same n-grams."""
        from rung.training.linear.label_sets import codes_of, search_and_fit_sets
        from rung.training.linear.search import candidate_heads
        from rung.training.text.ngram_candidates import ngram_feature_sets

        labels = examples.schema.label_set
        marks = codes_of(examples.targets, examples.schema)
        sets, blocks = ngram_feature_sets(texts, params, _CHARS_TRIED[context.effort])
        heads = candidate_heads(params.head, params.c, context.effort)
        name, head, found = search_and_fit_sets(sets, marks, heads, context, labels)
        features = int(sum(len(block.buckets) for block in blocks[name]))
        shares = marks.mean(axis=0).tolist()
        return cls(labels, blocks[name], head, {**found, "features_kept": features}, shares)

    @property
    def chosen(self) -> Mapping[str, Any]:
        return self._chosen

    def scores(self, inputs: Columns) -> npt.NDArray[np.float64]:
        """Return the linear scores [rows, labels] before calibration."""
        return self._scores(transform(join_fields(inputs), self._blocks))

    def _scores(self, rows: SparseRows) -> npt.NDArray[np.float64]:
        return rows.dot(self._head.weights) + self._head.bias.astype(np.float64)

    def probabilities(self, inputs: Columns) -> npt.NDArray[np.float64]:
        texts = join_fields(inputs)
        rows = transform(texts, self._blocks)
        found = self._head.calibration.apply(self._scores(rows))
        # Of a text without a known word the intercept alone would decide, and that is fitted to texts with words.
        for row in self._without_words(rows) if len(self._shares) else ():
            known = known_share(texts[row], self._blocks)
            found[row] = known * found[row] + (1.0 - known) * self._shares
        return found

    def _without_words(self, rows: SparseRows) -> list[int]:
        """Return the rows that contain no word of the vocabulary; where it has no words, those without any n-gram."""
        first = self._blocks[0]
        words = len(first.buckets) if first.spec.word_max else rows.width
        known = np.repeat(np.arange(len(rows)), np.diff(rows.starts))[rows.columns < words]
        return np.flatnonzero(np.bincount(known, minlength=len(rows)) == 0).tolist()

    def predict(self, inputs: Columns) -> list[Prediction]:
        return self._head.calibration.answers(self.probabilities(inputs), self.labels, "tfidf_linear")

    def explain(self, inputs: Columns, most: int = 8) -> list[list[Reason]]:
        """Return the words that decided: each n-gram's share of the winning score, spread over its
        characters.

        A word's weight is what it adds to the winner's score relative to the mean of all labels. The weights
        of all words sum to that difference exactly; the bias belongs to no word.
        """
        return [self._explain_one(text, most) for text in join_fields(inputs)]

    def _explain_one(self, text: str, most: int) -> list[Reason]:
        normalized = normalize_text(text)
        rows = transform([text], self._blocks)
        top = int((rows.dot(self._head.weights)[0] + self._head.bias).argmax())
        used = self._head.weights[rows.columns]
        contributions = dict(
            zip(rows.columns.tolist(), (used[:, top] - used.mean(axis=1)) * rows.values, strict=True)
        )
        is_text = np.array([char != " " for char in f" {normalized} "])
        by_char = np.zeros(len(is_text))
        offset = 0
        for block in self._blocks:
            seen = occurrences([normalized], block.spec)
            columns = find_columns(seen.buckets, block)
            known = np.flatnonzero(columns >= 0)
            counts = np.bincount(columns[known], minlength=1)
            for index in known.tolist():
                column = int(columns[index])
                covered = slice(int(seen.starts[index]), int(seen.ends[index]))
                share = is_text[covered] / max(int(is_text[covered].sum()), 1)
                by_char[covered] += share * contributions[column + offset] / counts[column]
            offset += len(block.buckets)
        total: dict[str, float] = {}
        for start, end, weight in _pieces(normalized, by_char):
            piece = normalized[start:end]
            total[piece] = total.get(piece, 0.0) + weight
        strongest = sorted(total.items(), key=lambda item: (-abs(item[1]), item[0]))[:most]
        return [Reason(piece, round(weight, 4)) for piece, weight in strongest if weight]

    def save(self, folder: Path) -> None:
        specs, tensors = dump_blocks(self._blocks)
        facts = {"blocks": specs, "chosen": self._chosen, "shares": self._shares.tolist()}
        self._head.save(folder, facts, tensors)

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        head, facts, arrays = LinearHead.load(folder, schema.classes)
        return cls(
            schema.classes,
            load_blocks(facts["blocks"], arrays),
            head,
            facts["chosen"],
            facts.get("shares", ()),
        )

    @classmethod
    def cost(cls, facts: DataFacts, params: TfidfLinearParams, context: FitContext) -> Cost:
        chars = facts.rows * facts.chars_per_row
        with_chars = 0 < chars <= _CHARS_TRIED[context.effort]
        per_char = 1.5e-6 if with_chars else 4e-7
        fit = 0.5 + chars * per_char * (1 + facts.labels / 10)
        features = min(params.most_features * (2 if with_chars else 1), chars * 0.05 + 2_000)
        size = features * (facts.labels * 4 + 8) / 1e6
        answer = 2e-4 + facts.chars_per_row * (9e-7 if with_chars else 3e-7)
        return Cost(fit, answer * 1000, 60 + 2 * size, size)


def _pieces(text: str, by_char: npt.NDArray[np.float64]) -> list[Weighted]:
    """Return the spans to show with their weights: words, punctuation, and runs of ideographs."""
    words = word_spans(text)
    inside = np.zeros(len(text), dtype=bool)
    for start, end in words:
        inside[start:end] = True
    marks = [(i, i + 1) for i in np.flatnonzero(~inside).tolist() if text[i] != " "]
    weighted = [
        (start, end, float(by_char[start + 1 : end + 1].sum())) for start, end in sorted(words + marks)
    ]
    return join_ideographs(text, weighted)
