"""What models that read documents share when they answer: a reader, the score from which a line counts, and fields."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from rung.core.errors import BundleError
from rung.core.model import Model
from rung.core.types import Columns, Prediction, Schema
from rung.modalities.images.decode import pillow
from rung.modalities.images.read_fields import FieldFinder, fields_text
from rung.modalities.images.reading import read_sizes
from rung.modalities.images.text_lines import Lines, as_text
from rung.modalities.images.text_reader import TextReader

_ANSWER = "answer.json"


class ReaderModel(Model):
    """Text of the lines whose score reaches a least one, or the fields that stand on them."""

    NEEDS = "build,ocr"
    PACKAGES = ("sklearn", "PIL")
    TASKS = frozenset({"document_reading"})

    def __init__(self, reader: TextReader, finder: FieldFinder | None, chosen: Mapping[str, Any]) -> None:
        self.reader, self.finder = reader, finder
        self._chosen = dict(chosen)

    @property
    def chosen(self) -> Mapping[str, Any]:
        return self._chosen

    def predict(self, inputs: Columns) -> list[Prediction]:
        (images,) = inputs.values()
        name = type(self).__module__.rsplit(".", 1)[-1]
        return [
            self._answer(image, rows, name)
            for image, rows in zip(images, self.reader.read(images), strict=True)
        ]

    def _answer(self, image: Any, rows: Sequence[Lines], name: str) -> Prediction:
        rows = legible(rows, self.reader.config.least_score)
        lines = tuple(piece for row in rows for piece in row)
        sure = confidence(lines)
        text = as_text(rows)
        if self.finder is None:
            return Prediction(text, sure, answered_by=name, extra={"lines": lines})
        page = tuple(read_sizes([image])[0].tolist()) if image is not None else (1.0, 1.0)
        found = self.finder.find(lines, (page[0], page[1]))
        value = fields_text({field: said for field, (said, _) in found.items()})
        scores = {field: round(score, 4) for field, (_, score) in found.items()}
        extra = {"lines": lines, "text": text, "field_scores": scores}
        return Prediction(value, min(scores.values(), default=0.0), answered_by=name, extra=extra)

    def save(self, folder: Path) -> None:
        self.reader.save(folder)
        finder = self.finder.as_dict() if self.finder else None
        facts = {"fields": finder, "chosen": self._chosen}
        (folder / _ANSWER).write_text(json.dumps(facts, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        pillow()  # Missing, it is said when a server starts, not at its first request.
        try:
            facts = json.loads((folder / _ANSWER).read_text(encoding="utf-8"))
            finder = FieldFinder.from_dict(facts["fields"]) if facts["fields"] else None
            chosen = dict(facts["chosen"])
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise BundleError(f"no usable {_ANSWER}: {error}", folder.name, "Build it again.") from None
        return cls(TextReader.open(folder), finder, chosen)


def legible(rows: Sequence[Lines], least: float) -> list[Lines]:
    """Return the rows without the pieces whose score is below the least one."""
    kept = (tuple(piece for piece in row if (piece.score or 0.0) >= least) for row in rows)
    return [row for row in kept if row]


def confidence(lines: Lines) -> float:
    """Return the mean score of the characters of a document; 0.0 where nothing was read."""
    chars = sum(len(line.text) for line in lines)
    return sum(len(line.text) * (line.score or 0.0) for line in lines) / chars if chars else 0.0
