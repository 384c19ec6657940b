"""Active learning: chooses rows to label, suggests labels, and measures the learning curve, in a thread."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from rung.annotation.featurizer import Featurizer, ZeroShotClassifier
from rung.annotation.learning_curve import (
    forecast_gain,
    held_out_results,
    learning_curve,
    prediction_stability,
)
from rung.annotation.logistic_regression import fit_classifier
from rung.annotation.query_strategy import LearnerState
from rung.annotation.sampling import cluster_representatives, uncertain_and_diverse
from rung.data.labels.audit_sample import CHOSEN, RANDOM
from rung.data.labels.pool import Pool

Vectors = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
# Rows queued between two fits: more than anybody labels during one.
_BATCH_SIZE = 30
_MAX_UNLABELLED = 2_000
# An evaluation takes about fifty fits, and each one spends error of the stopping rule.
_EVALUATE_EVERY = 10


class ActiveLearner:
    """A query strategy that learns from the labels so far. Implements `QueryStrategy`.

    First come representatives of clusters, then batches of uncertain and diverse rows. `update` returns at
    once; the other methods answer from the latest fit.
    """

    def __init__(self, pool: Pool, vectors: Vectors, featurizer: Featurizer, background: bool = True) -> None:
        """vectors: of the pool's rows, in their order.

        background: False fits within `update`, for files and tests.
        """
        self._pool, self._vectors = pool, vectors
        self._labels = list(pool.labels)
        self.featurizer_name = featurizer.name
        self._zero_shot = ZeroShotClassifier(featurizer, pool.labels)
        self._chosen = np.array([i for i, row in enumerate(pool.rows) if row.zone == CHOSEN], np.int64)
        self._random = {i for i, row in enumerate(pool.rows) if row.zone == RANDOM}
        clusters = cluster_representatives(vectors[self._chosen], max(20, 3 * len(self._labels)))
        self._clusters = tuple(self._chosen[clusters].tolist())
        self._chosen_places = tuple(self._chosen.tolist())
        self._state = LearnerState(0, self._clusters, "cluster")
        self._n_evaluations = self._n_fitted = 0
        self._training: list[tuple[int, str]] = []
        self._changed = threading.Condition()
        self._stopped = False
        self._background = background
        if background:
            threading.Thread(target=self._run, name="active-learner", daemon=True).start()

    @property
    def state(self) -> LearnerState:
        """Return the current state."""
        return self._state

    def update(self, training: list[tuple[int, str]]) -> None:
        """Set the labelled rows (place, label), in the order they were labelled."""
        if training == self._training:
            return
        with self._changed:
            self._training = training
            self._changed.notify()
        if not self._background:
            self._fit(training)

    def queue(self) -> Sequence[int]:
        """Return places of chosen rows, in the order to ask. Some may be labelled already."""
        return [*self._state.queue, *self._clusters, *self._chosen_places]

    def reason(self, text: str) -> str:
        """Return how rows are chosen now: cluster or useful."""
        return self._state.reason

    def suggest(self, place: int) -> tuple[str, float] | None:
        """Return the most likely label of a row and its probability.

        Before every label has a row, the suggestion comes from the names and descriptions of the labels.
        """
        classifier = self._state.classifier
        if classifier is not None:
            likely = classifier.predict_proba(self._vectors[place : place + 1])[0]
        else:
            found = self._zero_shot.predict_proba([self._pool.rows[place].joined()])
            if found is None:
                return None
            likely = found[0]
        best = int(likely.argmax())
        return self._labels[best], float(likely[best])

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def wait(self, seconds: float = 60.0) -> bool:
        """Wait until the state includes all labels, and the learning curve too; return whether it does."""
        with self._changed:
            return self._changed.wait_for(lambda: self._n_fitted == len(self._training), seconds)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopped or self._state.n_labels != len(self._training))
                if self._stopped:
                    return
                training = self._training
            self._fit(training)

    def _fit(self, training: list[tuple[int, str]]) -> None:
        code_of = {label: code for code, label in enumerate(self._labels)}
        known = [(place, code_of[label]) for place, label in training if label in code_of]
        places = np.array([place for place, _ in known], np.int64)
        codes = np.array([code for _, code in known], np.int64)
        state = replace(self._state, n_labels=len(training))
        n_seen = len(np.unique(codes))
        if n_seen >= 2:
            classifier = fit_classifier(self._vectors[places], codes, len(self._labels))
            unlabelled = np.setdiff1d(self._chosen, places)
            n_chosen = len(self._chosen) - len(unlabelled)
            if n_chosen < len(self._clusters):
                queue, reason = self._clusters, "cluster"
            else:
                x = self._vectors[unlabelled]
                picked = uncertain_and_diverse(x, classifier.predict_proba(x), np.arange(len(x)), _BATCH_SIZE)
                queue, reason = tuple(unlabelled[picked].tolist()), "useful"
            # Until every label has a row, names and descriptions give better suggestions.
            trusted = classifier if n_seen == len(self._labels) else None
            state = replace(state, queue=queue, reason=reason, classifier=trusted)
        with self._changed:
            self._state = state
            self._changed.notify_all()
        if len(known) // _EVALUATE_EVERY != self._n_evaluations:
            self._n_evaluations = len(known) // _EVALUATE_EVERY
            self._evaluate(places, codes)
        with self._changed:
            self._n_fitted = len(training)
            self._changed.notify_all()

    def _evaluate(self, places: Ints, codes: Ints) -> None:
        """Measure the learning curve, forecast it, and test the stopping rule."""
        n_labels = len(self._labels)
        random = np.array([place in self._random for place in places.tolist()], bool)
        unlabelled = sorted(self._random - set(places.tolist()))[:_MAX_UNLABELLED]
        x = self._vectors[places]
        results = held_out_results(x, codes, random, n_labels) if len(np.unique(codes)) >= 2 else None
        stability = prediction_stability(
            x, codes, self._vectors[unlabelled], n_labels, max(self._n_evaluations, 1)
        )
        with self._changed:
            self._state = replace(
                self._state,
                learning_curve=tuple(learning_curve(results)) if results else (),
                stability=stability,
                forecast=forecast_gain(results) if results else None,
            )
            self._changed.notify_all()
