"""Baseline: always the same text, the training text that is most like the others. Every writer must beat it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Self

import numpy as np

from rung.core.model import Cost, DataFacts, FitContext
from rung.core.types import Examples, Schema
from rung.modalities.text.likeness import chrf
from rung.modalities.text.writer import TextFinisher, WholeText, Writer, stored_texts
from rung.modalities.text.writing_options import WritingOptions

_NAME, _FILE = "fixed_text", "text.json"
# Training texts among which it is chosen.
_DRAWN, _MOST_CHARS = 40, 400


class FixedText(Writer):
    """Use it as a baseline, or where a template is all that is needed."""

    def __init__(self, text: str, schema: Schema) -> None:
        super().__init__(TextFinisher(schema, None, _NAME), {})
        self._text = text

    @classmethod
    def fit(cls, examples: Examples, params: Any, context: FitContext) -> Self:
        texts = stored_texts(examples.targets)
        drawn = np.random.default_rng(context.seed).permutation(len(texts))[:_DRAWN].tolist()
        some = [texts[place] for place in drawn]
        # As they would be answered: cut and mended by the product's rules, those that keep its conditions first.
        said = [cls(text, examples.schema).predict({"prompt": [""]})[0] for text in some]
        shown = [(-len(answer.extra["broken"]), str(answer.value)[:_MOST_CHARS]) for answer in said]
        likeness = [(kept, sum(chrf(other[:_MOST_CHARS], text) for other in some)) for kept, text in shown]
        best = max(range(len(some)), key=lambda place: likeness[place], default=-1)
        return cls(some[best] if best >= 0 else "", examples.schema)

    def sentences(self, prompt: str, options: WritingOptions, number: int) -> WholeText:
        return WholeText(self._text)

    def save(self, folder: Path) -> None:
        text = json.dumps({"text": self._text}, ensure_ascii=False)
        (folder / _FILE).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        return cls(str(json.loads((folder / _FILE).read_text(encoding="utf-8"))["text"]), schema)

    @classmethod
    def cost(cls, facts: DataFacts, params: Any, context: FitContext) -> Cost:
        return Cost(fit_seconds=0.5, cpu_seconds_per_1k=0.05, memory_mb=45.0, size_mb=0.01)
