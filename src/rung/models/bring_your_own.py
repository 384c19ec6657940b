"""A trained model of the user's as an ONNX file: measured and certified like every other rung, never trained."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from rung.core.errors import BundleError, RungError, did_you_mean
from rung.core.model import Cost, DataFacts, FitContext, Model, Reason, answers_from
from rung.core.types import Columns, Examples, Prediction, Schema
from rung.core.unavailable import Unavailable
from rung.modalities.text.onnx_inputs import input_reader
from rung.runtime.onnx.inputs import InputReader, has_batch_size_one
from rung.runtime.onnx.outputs import Output, select_output
from rung.runtime.onnx.session import MAX_BYTES, OnnxFile, too_large

Probability = npt.NDArray[np.float64]
_NAME = "bring_your_own"
_MODEL, _TOKENIZER, _FACTS = "model.onnx", "tokenizer.json", "byo.json"
# Training rows that the file is tested on, and how much a probability may change with other rows in the batch
# (rounding).
_TEST_ROWS, _TOLERANCE = 32, 2e-5
# Lower bound of probabilities before taking the logarithm.
_MIN_PROBABILITY = 1e-6


@dataclass(frozen=True)
class BringYourOwnParams:
    """Parameters.

    path: the ONNX file, relative to the folder of product.yaml. labels: in the order of the file's outputs;
    default: the data's labels, sorted. output: its name, where several fit. scores: what the output contains.
    tokenizer: a tokenizer.json, if the file reads token ids. max_tokens: of one text; default: the graph's
    length, or the tokenizer's. levels: of the pixels, if it reads images: 0 to 1 ("unit") or 0 to 255 ("bytes").
    """

    path: str = ""
    labels: tuple[str, ...] = ()
    output: str = ""
    scores: Literal["probabilities", "logits"] = "probabilities"
    tokenizer: str = ""
    max_tokens: int | None = None
    levels: Literal["unit", "bytes"] = "unit"


class BringYourOwn(Model):
    """Use it when you have a trained model: name its ONNX file, and it becomes a rung like the others."""

    NEEDS = "build"
    PACKAGES = ("onnx",)
    TASKS = frozenset({"text_classification", "image_classification", "tabular_classification"})
    Params = BringYourOwnParams
    PLACE = "asked"

    def __init__(
        self,
        labels: tuple[str, ...],
        file: OnnxFile,
        reader: InputReader,
        output: Output,
        tokenizer: str | None,
        facts: Mapping[str, Any],
        rows: Literal["texts", "images", "cells"],
    ) -> None:
        """labels: the schema's. tokenizer: the content of its tokenizer.json. facts: the content of byo.json. rows: what they hold."""
        self.labels = labels
        self._file = file
        self._reader = reader
        self._output = output
        self._tokenizer = tokenizer
        self._facts = dict(facts)
        self._rows = rows

    @classmethod
    def fit(cls, examples: Examples, params: BringYourOwnParams, context: FitContext) -> Self:
        """Return the model after testing the file on a few training rows. Nothing is trained."""
        cls.require()
        from rung.training.onnx.validation import open_user_model

        missing = _missing_file(params, context.base)
        if missing is not None:
            raise missing
        path = context.base / params.path
        file = open_user_model(path)
        tokenizer = _read_text(context.base / params.tokenizer) if params.tokenizer else None
        facts = {
            "file": path.name,
            "sha256": file.sha256,
            "labels": list(params.labels),
            "output": params.output,
            "scores": params.scores,
            "max_tokens": params.max_tokens,
            "levels": params.levels,
            "typical": _typical(examples.inputs) if _kind_of_rows(examples.schema) == "cells" else {},
            "alone": has_batch_size_one(file.session.get_inputs(), file.where),
        }
        model = cls._of(examples.schema, file, tokenizer, facts)
        step = max(len(examples) // _TEST_ROWS, 1)
        sample = examples.take(list(range(0, len(examples), step))[:_TEST_ROWS]).inputs
        model._facts["alone"] = model._depends_on_batch(sample)
        return model

    @classmethod
    def _of(cls, schema: Schema, file: OnnxFile, tokenizer: str | None, facts: Mapping[str, Any]) -> Self:
        session, where = file.session, file.where
        reader = _reader(schema, session.get_inputs(), tokenizer, facts, where)
        output = select_output(
            session.get_outputs(), facts["labels"], schema.labels, facts["output"], facts["scores"], where
        )
        return cls(schema.labels, file, reader, output, tokenizer, facts, _kind_of_rows(schema))

    def _depends_on_batch(self, inputs: Columns) -> bool:
        """Return whether rows must be predicted one at a time because a result depends on the other rows of
        its batch.

        Raises RungError when the outputs are not scores of the labels, or differ from one call to the next.
        """
        first = self._raw(inputs, alone=True)
        self._output.check(first, self._file.where)
        one = self._output.probabilities(first)
        if not _equal(one, self._output.probabilities(self._raw(inputs, alone=True))):
            raise RungError(
                "the file gives different results for the same row",
                self._file.where,
                "Export it for inference: without dropout, noise or sampling.",
            )
        if self._facts["alone"]:
            return True
        try:
            together = self._raw(inputs, alone=False)
        except RungError:
            return True
        return not _equal(one, self._output.probabilities(together))

    def _raw(self, inputs: Columns, alone: bool) -> Probability:
        """Return the file's output: [rows, labels in its order] or [rows, 1]."""
        parts: list[Probability] = []
        places: list[int] = []
        for rows, feed in self._reader.batches(inputs, alone):
            part = self._output.raw(self._file.run(self._output.name, feed), self._file.where)
            if len(part) != len(rows):
                raise RungError(
                    f"'{self._output.name}' answers {len(part)} rows for {len(rows)}",
                    self._file.where,
                    "Its first dimension must be that of the input.",
                )
            parts.append(part)
            places += rows
        if not parts:
            return np.zeros((0, len(self.labels)))
        found = np.concatenate(parts)
        found[places] = found.copy()
        return found

    @property
    def chosen(self) -> Mapping[str, Any]:
        shown = {
            "file": self._facts["file"],
            "sha256": self._facts["sha256"],
            "estimate": "its scores on training rows are too high if it was trained on them",
        }
        return shown | (
            {"rows": "one at a time: a prediction depends on the other rows of its batch"}
            if self._alone
            else {}
        )

    @property
    def assumptions(self) -> str:
        return (
            f"The certificate assumes that the file {self._facts['file']} was neither trained nor selected on "
            "the certification rows; this cannot be checked."
        )

    @property
    def _alone(self) -> bool:
        return bool(self._facts["alone"])

    def probabilities(self, inputs: Columns) -> Probability:
        return self._output.probabilities(self._raw(inputs, self._alone))

    def predict(self, inputs: Columns) -> list[Prediction]:
        return answers_from(self.probabilities(inputs), self.labels, _NAME)

    def explain(self, inputs: Columns, most: int = 8) -> list[list[Reason]]:
        """Return the words whose removal lowers the label's score most, over all fields; parts of the image likewise; of a table
        the cells that a usual value instead of them would change it by most.
        """
        if self._rows == "images":
            from rung.modalities.images.occlusion import explain_images

            return explain_images(inputs, self.probabilities, most)
        if self._rows == "cells":
            names = list(inputs)
            rows = [dict(zip(names, cells, strict=True)) for cells in zip(*inputs.values(), strict=True)]
            return [self._cells_that_matter(row, most) for row in rows]
        from rung.modalities.text.occlusion import explain_by_occlusion

        names, reasons = list(inputs), []
        for cells in zip(*inputs.values(), strict=True):
            row = dict(zip(names, cells, strict=True))
            found = [
                reason
                for name in names
                for reason in explain_by_occlusion(
                    str(row[name] or ""), partial(self._scores_with, row, name), most
                )
            ]
            reasons.append(sorted(found, key=lambda reason: -abs(reason.weight))[:most])
        return reasons

    def _cells_that_matter(self, row: Mapping[str, Any], most: int) -> list[Reason]:
        """Return the change of the label's log probability by each cell of a row, compared with a usual value in its place."""
        from rung.modalities.tables.features import shown_cell

        names, typical = list(row), self._facts["typical"]
        columns = {
            name: [typical.get(name) if place == number else row[name] for place in range(-1, len(names))]
            for number, name in enumerate(names)
        }
        logs = np.log(np.maximum(self.probabilities(columns), _MIN_PROBABILITY))
        change = (logs[0] - logs[1:])[:, int(logs[0].argmax())]
        found = [
            Reason(shown_cell(name, row[name]), round(float(change[n]), 4)) for n, name in enumerate(names)
        ]
        return sorted((one for one in found if one.weight), key=lambda one: -abs(one.weight))[:most]

    def _scores_with(self, row: Mapping[str, Any], name: str, texts: Any) -> Probability:
        """Return the log probabilities of a row with each text in place of one field."""
        inputs = {key: list(texts) if key == name else [cell] * len(texts) for key, cell in row.items()}
        return np.asarray(np.log(np.maximum(self.probabilities(inputs), _MIN_PROBABILITY)))

    def save(self, folder: Path) -> None:
        self._file.copy_to(folder / _MODEL)
        if self._tokenizer is not None:
            (folder / _TOKENIZER).write_text(self._tokenizer, encoding="utf-8")
        text = json.dumps(self._facts, ensure_ascii=False, indent=1)
        (folder / _FACTS).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        file = OnnxFile.open(folder / _MODEL)
        if file.sha256 != facts["sha256"]:
            raise BundleError(
                "model.onnx is not the file that byo.json names", folder.name, "Build it again."
            )
        tokenizer = folder / _TOKENIZER
        return cls._of(schema, file, _read_text(tokenizer) if tokenizer.is_file() else None, facts)

    @classmethod
    def unavailable(
        cls, facts: DataFacts, params: BringYourOwnParams, context: FitContext
    ) -> RungError | None:
        return _missing_file(params, context.base)

    @classmethod
    def cost(cls, facts: DataFacts, params: BringYourOwnParams, context: FitContext) -> Cost:
        """Return a plan from the file's size: a network reads all of its weights for each token, n-gram
        models hardly any.
        """
        path = context.base / params.path
        size = path.stat().st_size / 1e6 if path.is_file() else 1.0
        tokens = min(facts.chars_per_row / 4.0, params.max_tokens or 256.0)
        each = 1e-4 + (tokens * size * 3e-6 if params.tokenizer else facts.chars_per_row * 5e-7)
        return Cost(1.0 + size * 0.01 + _TEST_ROWS * 3 * each, each * 1000, 60 + 3 * size, size)


def _reader(
    schema: Schema, inputs: Sequence[Any], tokenizer: str | None, facts: Mapping[str, Any], where: str
) -> InputReader:
    """Return what feeds the rows of such a product to the file."""
    rows = _kind_of_rows(schema)
    if rows == "texts":
        return input_reader(inputs, schema.input_names, tokenizer, facts["max_tokens"], where)
    if tokenizer is not None or facts["max_tokens"] is not None:
        raise RungError(f"the product is of {rows}", where, "Leave out `tokenizer` and `max_tokens`.")
    if rows == "cells":
        from rung.modalities.tables.onnx_inputs import table_reader

        return table_reader(inputs, schema.inputs, where)
    from rung.modalities.images.decode import pillow
    from rung.modalities.images.onnx_inputs import image_reader

    pillow()  # Missing, it is said when a server starts, not at its first request.
    return image_reader(inputs, schema.input_names, facts["levels"], where)


def _kind_of_rows(schema: Schema) -> Literal["texts", "images", "cells"]:
    kinds = {field.kind for field in schema.inputs}
    if "image" in kinds:
        return "images"
    return "texts" if kinds <= {"text"} else "cells"


def _typical(inputs: Columns) -> dict[str, Any]:
    """Return the median of each column of numbers and the most frequent value of each other one."""
    found: dict[str, Any] = {}
    for name, column in inputs.items():
        cells = [cell for cell in column if cell is not None]
        if all(isinstance(cell, int | float) for cell in cells):
            found[name] = float(np.median(cells)) if cells else None
        else:
            found[name] = Counter(map(str, cells)).most_common(1)[0][0]
    return found


def _equal(one: Probability, other: Probability) -> bool:
    return np.allclose(one, other, rtol=0.0, atol=_TOLERANCE)


def _missing_file(params: BringYourOwnParams, base: Path) -> RungError | None:
    """Return what is wrong with the files that the parameters name; None when they can be used."""
    if not params.path:
        return Unavailable("no_file", model=_NAME)
    for name in filter(None, (params.path, params.tokenizer)):
        path = base / name
        if not path.is_file():
            near = [p.name for p in path.parent.glob(f"*{path.suffix}")] if path.parent.is_dir() else []
            fix = did_you_mean(path.name, near) if near else "docs/howto/bring-your-own-model.md makes one."
            return RungError(f"there is no file '{name}' in the folder of product.yaml", fix=fix)
        if path.stat().st_size > MAX_BYTES:
            return too_large(path, path.stat().st_size)
    return None


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        fix = "Save it with Tokenizer.save('tokenizer.json')."
        raise RungError("the tokenizer is not UTF-8 text", str(path), fix) from None
