"""Packaged networks that find the lines on an image and read them: Chinese, English and other Latin languages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

from rung.core.errors import RungError
from rung.core.model import Cost, DataFacts, FitContext
from rung.core.types import Examples
from rung.modalities.images.reader_model import ReaderModel

# CPU seconds of an image of about 1,200 x 740 pixels with twenty lines: finding them, reading one; MB of the files.
_FIND = {"ppocr_v4": 0.45, "ppocr_v6": 0.75}
_READ = {"ppocr_v4": 0.02, "ppocr_v6": 0.045}
_SIZE_MB = {"ppocr_v4": 15.6, "ppocr_v6": 31.2}
_LINES = 10


@dataclass(frozen=True)
class PageReaderParams:
    """What can be set. weights: a name of `rung weights`. least_side, most_side: the shorter side of an image is brought up to
    the first before lines are looked for, the longer one down to the second, in pixels. least_score: of a line that is
    answered; None chooses it on training images. most_rows: training images that are read for that and for fields.
    """

    weights: Literal["ppocr_v4", "ppocr_v6"] = "ppocr_v4"
    least_side: int = 736
    most_side: int = 1600
    least_score: float | None = None
    most_rows: int | None = None

    def __post_init__(self) -> None:
        if not 64 <= self.least_side <= self.most_side <= 4096:
            raise RungError(
                f"least_side {self.least_side} and most_side {self.most_side} are no sides of a page",
                "ladder",
                "Choose 64 <= least_side <= most_side <= 4096.",
            )


class PageReader(ReaderModel):
    """Use it for pictures of pages, cards, forms, signs: anything with several lines of text."""

    Params = PageReaderParams
    VARIANTS: ClassVar = {
        "small": {"least_side": 480, "most_side": 960},
        "large": {"weights": "ppocr_v6"},
    }

    @classmethod
    def unavailable(cls, facts: DataFacts, params: Any, context: FitContext) -> RungError | None:
        from rung.runtime.weights.store import missing_weights

        return missing_weights(params.weights)

    @classmethod
    def fit(cls, examples: Examples, params: PageReaderParams, context: FitContext) -> Self:
        cls.require()
        from rung.modalities.images.text_reader import ReaderConfig
        from rung.training.images.reader_fit import fit_reader
        from rung.training.images.reader_weights import open_packaged_reader

        config = ReaderConfig(least_side=params.least_side, most_side=params.most_side)
        reader = open_packaged_reader(params.weights, config)
        fitted = fit_reader(reader, examples, params.least_score, params.most_rows, context)
        return cls(fitted.reader, fitted.finder, {"weights": params.weights, **fitted.chosen})

    @classmethod
    def cost(cls, facts: DataFacts, params: PageReaderParams, context: FitContext) -> Cost:
        share = (params.least_side / 736) ** 2
        each = _FIND[params.weights] * share + _LINES * _READ[params.weights]
        rows = min(facts.rows, params.most_rows or 200)
        return Cost(
            2.0 + rows * each, each * 1000, 300 + _SIZE_MB[params.weights], _SIZE_MB[params.weights],
            one_part=True,
        )  # fmt: skip
