"""A packaged network that reads an image as one line of text: Chinese, English and other Latin languages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

from rung.core.errors import RungError
from rung.core.model import Cost, DataFacts, FitContext
from rung.core.types import Examples
from rung.modalities.images.reader_model import ReaderModel

# CPU seconds of a line of 400 x 48 pixels, and MB of the network's file.
_READ = {"ppocr_v4": 0.02, "ppocr_v6": 0.045}
_SIZE_MB = {"ppocr_v4": 10.9, "ppocr_v6": 21.3}


@dataclass(frozen=True)
class LineReaderParams:
    """What can be set. weights: a name of `rung weights`. least_score: of a line that is answered; None chooses it on
    training images. most_rows: training images that are read for that.
    """

    weights: Literal["ppocr_v4", "ppocr_v6"] = "ppocr_v4"
    least_score: float | None = None
    most_rows: int | None = None


class LineReader(ReaderModel):
    """Use it for pictures that were cut to one line: serial numbers, plates, fields of a form."""

    Params = LineReaderParams
    VARIANTS: ClassVar = {"large": {"weights": "ppocr_v6"}}

    @classmethod
    def unavailable(cls, facts: DataFacts, params: Any, context: FitContext) -> RungError | None:
        from rung.runtime.weights.store import missing_weights

        return missing_weights(params.weights)

    @classmethod
    def fit(cls, examples: Examples, params: LineReaderParams, context: FitContext) -> Self:
        cls.require()
        from rung.modalities.images.text_reader import ReaderConfig
        from rung.training.images.reader_fit import fit_reader
        from rung.training.images.reader_weights import open_packaged_reader

        reader = open_packaged_reader(params.weights, ReaderConfig(whole=True))
        fitted = fit_reader(reader, examples, params.least_score, params.most_rows, context)
        return cls(fitted.reader, fitted.finder, {"weights": params.weights, **fitted.chosen})

    @classmethod
    def cost(cls, facts: DataFacts, params: LineReaderParams, context: FitContext) -> Cost:
        each = _READ[params.weights]
        rows = min(facts.rows, params.most_rows or 200)
        size = _SIZE_MB[params.weights]
        return Cost(1.0 + rows * each, each * 1000, 200 + size, size, one_part=True)
