"""A trained network reads the vectors of the last events and gives that of the user; a product with each item's is its score."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from rung.core.errors import RungError
from rung.core.model import Cost, DataFacts, FitContext
from rung.modalities.recommendation.recommender import Recommender, Shelf
from rung.modalities.recommendation.scorers import Arrays, Floats, Ints, Moment, Scorer
from rung.runtime.onnx.session import OnnxFile, read_model
from rung.runtime.onnx.trained_network import MODEL_FILE

# Under which the content of the ONNX file comes to `of`; it is stored as a file of its own.
_GRAPH = "graph"
# Events whose share in a suggestion is measured, each by leaving it out.
_LEFT_OUT = 16


class NetworkScorer(Scorer):
    """`bias + vectors user`, with the user's vector from an ONNX graph over the vectors of the last events.

    content: of the graph; it takes `events`, float32 [rows, events, width], and returns `user`, [rows, width]. vectors: [items,
    width]. bias: [items]. most_events: how many of the last items are read.
    """

    name = "network"

    def __init__(
        self, content: bytes, vectors: npt.NDArray[Any], bias: npt.NDArray[Any], most_events: int, by: str
    ) -> None:
        self.content = content
        self._vectors, self._bias = vectors.astype(np.float16), bias.astype(np.float32)
        self._most, self._by = most_events, by
        # As stored, in the precision of a fast product.
        self._wide = self._vectors.astype(np.float32)
        self._file = OnnxFile(Path(MODEL_FILE), content, MODEL_FILE)

    def scores(self, moment: Moment) -> tuple[str, Floats]:
        user = self.users(moment.items[None, -self._most :])[0]
        return self._by, (self._bias + self._wide @ user).astype(np.float64)

    def behind(self, moment: Moment, items: Ints) -> Floats:
        """Return how much lower each item would score without an event; 0 for events that are unlike all of them."""
        read = moment.items[-self._most :]
        found = np.zeros((len(moment.items), len(items)))
        whole = self._wide[items] @ self.users(read[None])[0]
        skipped = len(moment.items) - len(read)
        if len(read) == 1:
            found[skipped] = whole
            return found
        alike = (self._wide[read] @ self._wide[items].T).max(axis=1)
        places = np.sort(np.argsort(-alike, kind="stable")[:_LEFT_OUT])
        others = self.users(np.stack([np.delete(read, place) for place in places]))
        found[skipped + places] = whole - others @ self._wide[items].T
        return found

    def users(self, items: Ints) -> npt.NDArray[np.float32]:
        """Return the vector of each user, [rows, width]. items: [rows, events], oldest first."""
        found: npt.NDArray[np.float32] = self._file.run("user", {"events": self._wide[items]})
        return found

    def arrays(self) -> Arrays:
        return {"vectors": self._vectors, "bias": self._bias}

    def settings(self) -> dict[str, Any]:
        return {"most_events": self._most, "by": self._by}

    @classmethod
    def of(cls, arrays: Arrays, settings: Mapping[str, Any], popular: Floats) -> Self:
        if not len(arrays["vectors"]) == len(arrays["bias"]) == len(popular):
            raise ValueError("the vectors of the network do not fit the items")
        return cls(arrays[_GRAPH].tobytes(), arrays["vectors"], arrays["bias"], **settings)


class NetworkRecommender(Recommender):
    """A recommender whose scorer is a trained network. It enters a ladder that names it, and ships only where it beats EASE."""

    NEEDS = "train"
    PACKAGES: ClassVar[tuple[str, ...]] = ("torch", "scipy", "onnx")
    PLACE = "asked"
    RIVAL = "ease"

    @classmethod
    def unavailable(cls, facts: DataFacts, params: Any, context: FitContext) -> RungError | None:
        return cls.missing_packages()

    def save(self, folder: Path) -> None:
        super().save(folder)
        assert isinstance(self.scorer, NetworkScorer)
        (folder / MODEL_FILE).write_bytes(self.scorer.content)

    @classmethod
    def read_scorer(cls, folder: Path, facts: Mapping[str, Any], arrays: Arrays, shelf: Shelf) -> Scorer:
        content = np.frombuffer(read_model(folder / MODEL_FILE), np.uint8)
        return NetworkScorer.of({**arrays, _GRAPH: content}, facts["settings"], shelf.popular)

    @property
    def training(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._facts.get("training", {})
        return found

    @property
    def chosen(self) -> Mapping[str, Any]:
        return {name: value for name, value in super().chosen.items() if name != "training"}

    @classmethod
    def cost(cls, facts: DataFacts, params: Any, context: FitContext) -> Cost:
        """Return the plan for five rows a user: each epoch reads a user once."""
        epochs = params.epochs * facts.rows * params.width / 64
        return Cost(10.0 + epochs * 1.2e-3, 0.9, 500.0, 0.7)
