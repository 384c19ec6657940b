"""The text of the training row whose prompt is most like the one at hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from rung.core.errors import BundleError, RungError
from rung.core.model import Cost, DataFacts, FitContext
from rung.core.types import Examples, Schema
from rung.modalities.text.nearest_texts import NearestTexts
from rung.modalities.text.writer import TextFinisher, WholeText, Writer, stored_texts
from rung.modalities.text.writing_options import WritingOptions

_NAME, _FILE = "nearest_example", "texts.json"


@dataclass(frozen=True)
class NearestExampleParams:
    """Parameters. most_rows: training rows that the bundle holds, at most; more are drawn from."""

    most_rows: int = 20_000

    def __post_init__(self) -> None:
        if not 1 <= self.most_rows <= 200_000:
            raise RungError(
                f"the parameter 'most_rows' is {self.most_rows}", fix="It must lie between 1 and 200,000."
            )


class NearestExample(Writer):
    """Use it where people have answered most of it before: replies, templates, descriptions. What writes must beat it."""

    Params = NearestExampleParams

    def __init__(self, index: NearestTexts, texts: Sequence[str], schema: Schema) -> None:
        """texts: of each row of the index, its text."""
        rows = {"rows_in_bundle": len(texts)}
        super().__init__(TextFinisher(schema, None, _NAME), rows)
        self._index, self._texts = index, tuple(texts)

    @classmethod
    def fit(cls, examples: Examples, params: NearestExampleParams, context: FitContext) -> Self:
        order = np.random.default_rng(context.seed).permutation(len(examples))[: params.most_rows]
        kept = examples.take(np.sort(order).tolist())
        finisher = TextFinisher(examples.schema, None, _NAME)
        prompts = stored_texts(finisher.prompts(kept.inputs))
        return cls(NearestTexts.learn(prompts), stored_texts(kept.targets), examples.schema)

    def sentences(self, prompt: str, options: WritingOptions, number: int) -> WholeText:
        found = self._index.nearest(prompt, number + 1)
        place = found[min(number, len(found) - 1)][0] if found else min(number, len(self._texts) - 1)
        return WholeText(self._texts[place])

    def save(self, folder: Path) -> None:
        self._index.save(folder)
        (folder / _FILE).write_text(json.dumps(self._texts, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        index, texts = NearestTexts.load(folder), json.loads((folder / _FILE).read_text(encoding="utf-8"))
        if len(texts) != index.texts or not texts:
            raise BundleError("the stored texts do not fit their index", _FILE, "Build it again.")
        return cls(index, texts, schema)

    @classmethod
    def cost(cls, facts: DataFacts, params: NearestExampleParams, context: FitContext) -> Cost:
        rows = min(facts.rows, params.most_rows)
        each = 0.1 + facts.chars_per_row * 3e-4 + rows * 1e-5
        return Cost(
            0.1 + rows * facts.chars_per_row * 1e-6, each, 60, 3.0 + rows * facts.chars_per_row * 4e-6
        )
