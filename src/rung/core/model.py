"""What a model family must do, and the small things it may do besides."""

from __future__ import annotations

import importlib.util
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt

from rung.core.device import Device
from rung.core.errors import MissingExtra, RungError
from rung.core.job_channel import JobChannel
from rung.core.types import Columns, Examples, Prediction, Schema


@dataclass(frozen=True)
class FitContext:
    """What a fit may use; it can be pickled, since a fit may run in another process.

    effort: 0 to 5, the one dial. seconds: a wish, not a promise; None is no limit. base: the folder that relative
    paths among the parameters start from. goal: metric of the bar's first condition. device: where tensors may lie.
    scratch: a folder for checkpoints, kept until the trial is whole, so that a fit that was killed finds them again;
    None where nothing is kept. validation: rows held out of these training rows for early stopping, for a family
    with a `VALIDATION_SHARE`. mask_before_llm: kinds of personal data that no text may hold when it is sent to a
    language model. tables: of the product beside its rows, name -> file. options: sections of the spec that a family reads.
    """

    seed: int = 0
    threads: int = 1
    effort: int = 2
    seconds: float | None = None
    base: Path = Path()
    goal: str = "accuracy"
    device: Device = "cpu"
    scratch: Path | None = None
    validation: Examples | None = None
    mask_before_llm: tuple[str, ...] = ()
    channel: JobChannel | None = None
    tables: Mapping[str, Path] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    def report(self, step: int, total: int, metrics: Mapping[str, float] | None = None) -> None:
        """Say how far the fit has come; shown while the build runs. Cheap enough to call at every step."""
        if self.channel is not None:
            self.channel.report(step, total, metrics or {})

    def cancelled(self) -> bool:
        """Return whether the time budget is spent. A fit that asks stops: it raises FitCancelled."""
        return self.channel is not None and self.channel.cancelled()


@dataclass(frozen=True)
class DataFacts:
    """What a plan knows before anything is fitted: rows to train on, labels, characters of input a row, the
    folded text of a few training rows, the share of the source's rows whose text stood there often, and the names of the
    labels, where a family asks what they mean."""

    rows: int
    labels: int
    chars_per_row: float
    sample: tuple[str, ...] = ()
    repeated: float = 0.0
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cost:
    """A planned price: seconds of one core. Said to be a plan; the trial measures.

    cached_seconds: of `fit_seconds`, what a second fit on the same rows does not spend again (embeddings that are kept
    by content). gpu_seconds_per_1k: of a GPU, for 1,000 answers. service_usd_per_1k: what services charge for them.
    one_part: answers are so dear or slow that one part of the rows is held out, not five folds.
    """

    fit_seconds: float
    cpu_seconds_per_1k: float
    memory_mb: float
    size_mb: float
    cached_seconds: float = 0.0
    gpu_seconds_per_1k: float = 0.0
    service_usd_per_1k: float = 0.0
    one_part: bool = False

    def plus(self, part: Cost, fits: int = 1, share: float = 1.0) -> Cost:
        """Return the price of a rung with one more part, fitted `fits` times and asked for this share of the answers."""
        return Cost(
            self.fit_seconds + fits * part.fit_seconds,
            self.cpu_seconds_per_1k + share * part.cpu_seconds_per_1k,
            self.memory_mb + part.memory_mb,
            self.size_mb + part.size_mb,
            self.cached_seconds,
            self.gpu_seconds_per_1k + share * part.gpu_seconds_per_1k,
            self.service_usd_per_1k + share * part.service_usd_per_1k,
            self.one_part or part.one_part,
        )

    @property
    def refit_seconds(self) -> float:
        """Return the seconds of each further fit on the same rows; infinity where there is to be none."""
        return math.inf if self.one_part else self.fit_seconds - self.cached_seconds


@dataclass(frozen=True)
class Rung:
    """One candidate: a model family with its parameters, and what a prediction of it is planned to cost.

    fits: how often it will be fitted: on each fold, and on all rows.
    """

    name: str
    model: str
    params: Any
    planned: Cost
    usd_per_1k: float
    fits: int = 0


@dataclass(frozen=True)
class Ladder:
    """The rungs to climb, cheapest prediction first, and the families left out with the reason and the mend."""

    rungs: tuple[Rung, ...]
    left_out: Mapping[str, RungError]


@dataclass(frozen=True)
class Fitted:
    """A fitted model as a folder that `Model.save` wrote, and what its fit took. cpu_seconds: over all threads.

    chosen, assumptions, children, training: those of the model. answers: what it said, before it was gone, to the rows that the
    fit was asked to answer: what a packed copy is held against.
    """

    folder: Path
    seconds: float
    cpu_seconds: float
    chosen: Mapping[str, Any]
    assumptions: str
    children: Mapping[str, str]
    answers: tuple[Prediction, ...] = ()
    training: Mapping[str, Sequence[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class NoParams:
    """For a family with nothing to set."""


class Model(ABC):
    """A fitted, immutable model. A subclass in `models/<name>.py` is the family called <name>.

    NEEDS: the extra whose packages `fit` imports. PACKAGES: those packages. TASKS: the tasks it can do.
    Params: a frozen dataclass of everything that can be set, with defaults. PLACE: "rung" enters every ladder,
    "asked" only one that names it, "before" stands in front of every rung where it is available. VARIANTS: more
    rungs of the family, their name's ending to the parameters that differ. VALIDATION_SHARE: of the training rows,
    which `fit` gets apart in `context.validation` instead of among its examples; 0 for none. is_stochastic: two answers
    to the same row may differ, so that the export is checked by scores.
    """

    NEEDS: ClassVar[str] = ""
    PACKAGES: ClassVar[tuple[str, ...]] = ()
    TASKS: ClassVar[frozenset[str]] = frozenset()
    Params: ClassVar[type] = NoParams
    PLACE: ClassVar[Literal["rung", "asked", "before"]] = "rung"
    VARIANTS: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    RIVAL: ClassVar[str] = ""
    is_stochastic: ClassVar[bool] = False
    VALIDATION_SHARE: ClassVar[float] = 0.0

    @classmethod
    @abstractmethod
    def fit(cls, examples: Examples, params: Any, context: FitContext) -> Self:
        """Return a model fitted on these rows alone. The same rows, params and seed give the same model."""

    @abstractmethod
    def predict(self, inputs: Columns) -> list[Prediction]:
        """Return one prediction a row, in order."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write safetensors, ONNX, JSON or text into an existing folder: nothing that runs code when read."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        """Return what `save` wrote, with equal predictions."""

    @classmethod
    @abstractmethod
    def cost(cls, facts: DataFacts, params: Any, context: FitContext) -> Cost:
        """Return the planned cost on such data; rungs are ordered by it until they are measured."""

    @classmethod
    def unavailable(cls, facts: DataFacts, params: Any, context: FitContext) -> RungError | None:
        """Return why the family cannot be tried here (weights that were not fetched, say); None when it can."""
        return None

    @property
    def chosen(self) -> Mapping[str, Any]:
        """Return what the fit chose (features, regularisation, calibration), for report and card."""
        return {}

    @property
    def training(self) -> Mapping[str, Sequence[float]]:
        """Return the values after each epoch of its training: `loss`, and `score` on rows held out; {} without epochs."""
        return {}

    @property
    def children(self) -> Mapping[str, str]:
        """Return the families this model asks in turn, each with its folder below the model's own."""
        return {}

    @property
    def assumptions(self) -> str:
        """Return what a certificate assumes because it cannot be checked; "" for nothing."""
        return ""

    @classmethod
    def require(cls) -> None:
        """Raise MissingExtra when the packages that fitting needs are not installed."""
        missing = cls.missing_packages()
        if missing is not None:
            raise missing

    @classmethod
    def missing_packages(cls) -> MissingExtra | None:
        """Return the error with the line that installs the packages of `fit`; None when they are installed."""
        for package in cls.PACKAGES:
            if importlib.util.find_spec(package) is None:
                return MissingExtra(f"fitting '{cls.__module__.rsplit('.', 1)[-1]}'", cls.NEEDS, package)
        return None


@runtime_checkable
class Probabilities(Protocol):
    """A model that knows how sure it is of every label."""

    @property
    def labels(self) -> tuple[str, ...]: ...

    def probabilities(self, inputs: Columns) -> npt.NDArray[np.float64]:
        """Return [rows, labels]; each row sums to 1, unless answers are sets of labels."""
        ...


@dataclass(frozen=True)
class Reason:
    """A part of the input and how far it moved the answer: positive is towards it.

    region: of an image, (x, y, width, height) as shares of its upright width and height.
    """

    text: str
    weight: float
    region: tuple[float, float, float, float] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        found: dict[str, Any] = {"text": self.text, "weight": self.weight}
        return found | ({"region": list(self.region)} if self.region else {})


@runtime_checkable
class Explains(Protocol):
    """A model that can say why."""

    def explain(self, inputs: Columns, most: int = 8) -> list[list[Reason]]:
        """Return, a row, the parts of the input that moved the answer most, strongest first."""
        ...


@runtime_checkable
class Streams(Protocol):
    """A model that answers bit by bit."""

    def stream(self, inputs: Mapping[str, Any]) -> Iterator[str]:
        """Yield the pieces of one answer; joined they are the value `predict` gives.

        A generator may return the whole `Prediction`, with what a service charged as its cost.
        """
        ...


@runtime_checkable
class Embeds(Protocol):
    """A model that turns inputs into vectors."""

    def embed(self, inputs: Columns) -> npt.NDArray[np.float32]:
        """Return [rows, width], each row of length 1."""
        ...


@runtime_checkable
class Offers(Protocol):
    """A model that knows what an input may hold: the items of a catalogue, say."""

    def choices(self, search: str, most: int) -> list[dict[str, str]]:
        """Return values with their labels that match a search, the likeliest first: {"value", "label"}."""
        ...


@runtime_checkable
class Remote(Protocol):
    """A model that asks a service: its price is that of the service."""

    @property
    def address(self) -> str: ...


def answers_from(probabilities: npt.NDArray[np.float64], labels: Sequence[str], by: str) -> list[Prediction]:
    """Return the likeliest label of each row as predictions that carry their row of probabilities."""
    best = probabilities.argmax(axis=1)
    return [
        Prediction(labels[top], float(row[top]), answered_by=by, extra={"probabilities": row})
        for row, top in zip(probabilities, best.tolist(), strict=True)
    ]
