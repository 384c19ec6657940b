"""Learns from the labels so far, in a thread of its own: the queue, the guesses, the curve, and when to stop."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from rung.annotation.featurizer import Featurizer, ZeroShotClassifier
from rung.annotation.learning_curve import (
    CurvePoint,
    GainForecast,
    Stability,
    forecast_gain,
    held_out_results,
    learning_curve,
    prediction_stability,
)
from rung.annotation.logistic_regression import QuickHead, fit_head
from rung.annotation.query_strategy import cluster_representatives, uncertain_and_diverse
from rung.data.labels.audit_sample import CHOSEN, RANDOM
from rung.data.labels.pool import Pool

Vectors = npt.NDArray[np.float32]
# Rows queued between two fits: more than anybody labels while one runs.
_BATCH_SIZE = 30
_MAX_UNLABELLED = 2_000
# The curve costs some fifty fits, and each look at what changed spends error: once in so many labels.
_EVALUATE_EVERY = 10


@dataclass(frozen=True)
class LearnerState:
    """What is known after `labels` labels. queue: places of chosen rows in the order to ask; how: cluster or useful."""

    n_labels: int
    queue: tuple[int, ...]
    reason: str
    classifier: QuickHead | None = None
    learning_curve: tuple[CurvePoint, ...] = ()
    stability: Stability | None = None
    forecast: GainForecast | None = None


class ActiveLearner:
    """Chooses rows. `learn` hands over labels and returns at once; `queue`, `guess` and `lesson` answer from the last fit."""

    def __init__(self, pool: Pool, vectors: Vectors, reader: Featurizer, background: bool = True) -> None:
        """vectors: of the pool's rows, in their order. background: False learns inside `learn`, for files and tests."""
        self._pool, self._vectors = pool, vectors
        self._labels = list(pool.labels)
        self.featurizer_name = reader.name
        self._zero_shot = ZeroShotClassifier(reader, pool.labels)
        self._chosen = np.array([i for i, row in enumerate(pool.rows) if row.zone == CHOSEN], np.int64)
        self._random = {i for i, row in enumerate(pool.rows) if row.zone == RANDOM}
        clusters = cluster_representatives(vectors[self._chosen], max(20, 3 * len(self._labels)))
        self._clusters = tuple(self._chosen[clusters].tolist())
        self._chosen_places = tuple(self._chosen.tolist())
        self._learner_state = LearnerState(0, self._clusters, "cluster")
        self._n_evaluations = self._n_fitted = 0
        self._training: list[tuple[int, str]] = []
        self._changed = threading.Condition()
        self._stopped = False
        self._background = background
        if background:
            threading.Thread(target=self._run, name="tutor", daemon=True).start()

    @property
    def state(self) -> LearnerState:
        """Return what is known by now."""
        return self._learner_state

    def update(self, training: list[tuple[int, str]]) -> None:
        """Take the labelled rows (place, label), in the order they were labelled."""
        if training == self._training:
            return
        with self._changed:
            self._training = training
            self._changed.notify()
        if not self._background:
            self._fit(training)

    def queue(self) -> Sequence[int]:
        """Return places of chosen rows in the order to ask about them, labelled ones perhaps among them."""
        lesson = self._learner_state
        return [*lesson.queue, *self._clusters, *self._chosen_places]

    def reason(self, text: str) -> str:
        """Return how chosen rows are chosen now: cluster or useful."""
        return self._learner_state.reason

    def suggest(self, place: int) -> tuple[str, float] | None:
        """Return the likeliest label of a row and its probability; from names and descriptions before there are labels."""
        head = self._learner_state.classifier
        if head is not None:
            likely = head.probabilities(self._vectors[place : place + 1])[0]
        else:
            near = self._zero_shot.predict_proba([self._pool.rows[place].joined()])
            if near is None:
                return None
            likely = near[0]
        best = int(likely.argmax())
        return self._labels[best], float(likely[best])

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def wait(self, seconds: float = 60.0) -> bool:
        """Wait until all labels handed over are learned, the curve with them; return whether they are."""
        with self._changed:
            return self._changed.wait_for(lambda: self._n_fitted == len(self._training), seconds)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._stopped or self._learner_state.n_labels != len(self._training)
                )
                if self._stopped:
                    return
                training = self._training
            self._fit(training)

    def _fit(self, training: list[tuple[int, str]]) -> None:
        code = {label: number for number, label in enumerate(self._labels)}
        known = [(place, code[label]) for place, label in training if label in code]
        places = np.array([place for place, _ in known], np.int64)
        codes = np.array([number for _, number in known], np.int64)
        chosen = len(set(places.tolist()) & set(self._chosen.tolist()))
        lesson = replace(self._learner_state, n_labels=len(training))
        if len(np.unique(codes)) >= 2:
            head = fit_head(self._vectors[places], codes, len(self._labels))
            open_ = np.setdiff1d(self._chosen, places)
            if chosen < len(self._clusters):
                queue, how = self._clusters, "cluster"
            else:
                likely = head.probabilities(self._vectors[open_])
                picked = uncertain_and_diverse(
                    self._vectors[open_], likely, np.arange(len(open_)), _BATCH_SIZE
                )
                queue, how = tuple(open_[picked].tolist()), "useful"
            # Before every label was met, names and descriptions know more.
            trusted = head if len(np.unique(codes)) == len(self._labels) else None
            lesson = replace(lesson, queue=queue, reason=how, classifier=trusted)
        with self._changed:
            self._learner_state = lesson
            self._changed.notify_all()
        if len(known) // _EVALUATE_EVERY != self._n_evaluations:
            self._n_evaluations = len(known) // _EVALUATE_EVERY
            self._evaluate(places, codes)
        with self._changed:
            self._n_fitted = len(training)
            self._changed.notify_all()

    def _evaluate(self, places: npt.NDArray[np.int64], codes: npt.NDArray[np.int64]) -> None:
        """Measure the curve, where it leads, and what the last quarter of the labels changed."""
        random = np.array([place in self._random for place in places.tolist()], bool)
        unlabelled = sorted(self._random - set(places.tolist()))[:_MAX_UNLABELLED]
        x = self._vectors[places]
        told = held_out_results(x, codes, random, len(self._labels)) if len(np.unique(codes)) >= 2 else None
        stable = prediction_stability(
            x, codes, self._vectors[unlabelled], len(self._labels), max(self._n_evaluations, 1)
        )
        with self._changed:
            self._learner_state = replace(
                self._learner_state,
                learning_curve=tuple(learning_curve(told)) if told else (),
                stability=stable,
                forecast=forecast_gain(told) if told else None,
            )
            self._changed.notify_all()
