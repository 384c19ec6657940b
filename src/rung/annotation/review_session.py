"""Review session over served rows: rows of the audit, and the rows that are most useful to review.

A row is useful for one of three reasons: the model was unsure, callers gave another answer, or no training
row is similar. The queue takes rows of the three reasons in turn. Such rows train and never certify. A share
of the rows (`improve.audit_share`) comes from the audit, and these are shown without the model's answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.annotation.annotation_store import AnnotationStore
from rung.annotation.featurizer import Featurizer
from rung.annotation.query_strategy import LearnerState
from rung.annotation.session import LabellingSession
from rung.core.spec.labelling import LabellingSpec
from rung.data.labels.audit_sample import AUDIT, CHOSEN, Census, Zones
from rung.data.labels.pool import Pool, PoolRow

UNSURE, CONTRADICTED, NOVEL = "unsure", "contradicted", "novel"
# Most rows to load for a review: more than reviewers get to.
MAX_ROWS = 20_000
_MAX_TRAINING_TEXTS = 2_000
# Distance of audit rows in the hash range: room for far more rows than there will ever be.
_POSITION_STEP = 2.0**-40


@dataclass(frozen=True)
class ReviewCandidate:
    """A row to review.

    prediction: id of its first prediction. text: its hash. confidence: probability of the answer, where the
    model gives one. n_contradictions: number of different answers by callers. audit_position: position in the
    audit, None outside it.
    """

    prediction: str
    text: str
    cells: Mapping[str, Any]
    answer: Any
    confidence: float | None
    n_contradictions: int
    audit_position: int | None = None

    def joined(self) -> str:
        """Return all cells as one text."""
        return "\n".join(str(cell) for cell in self.cells.values() if cell is not None)


class ReviewStrategy:
    """Chooses served rows to review, once; it does not learn during the review.

    Implements `QueryStrategy`.
    """

    featurizer_name = "words"

    def __init__(
        self, pool: Pool, candidates: Mapping[str, ReviewCandidate], novelty: Mapping[str, float]
    ) -> None:
        """candidates, novelty: by text hash."""
        self._rows = pool.rows
        self._answers = {
            text: (str(one.answer), one.confidence)
            for text, one in candidates.items()
            if one.confidence is not None
        }
        chosen = [place for place, row in enumerate(pool.rows) if row.zone == CHOSEN]
        by_place = {place: candidates[pool.rows[place].text] for place in chosen}
        distance = {place: novelty.get(pool.rows[place].text, 0.0) for place in chosen}

        def confidence(place: int) -> float:
            found = by_place[place].confidence
            return 1.0 if found is None else found

        queues = {
            CONTRADICTED: sorted(
                (p for p in chosen if by_place[p].n_contradictions),
                key=lambda p: -by_place[p].n_contradictions,
            ),
            UNSURE: sorted(chosen, key=confidence),
            NOVEL: sorted((p for p in chosen if distance[p] > 0), key=lambda p: -distance[p]),
        }
        in_turn = zip_longest(*([(p, reason) for p in places] for reason, places in queues.items()))
        self._reasons: dict[int, str] = {}
        for pair in chain.from_iterable(in_turn):
            if pair is not None:
                self._reasons.setdefault(*pair)
        self._by_text = {pool.rows[place].text: reason for place, reason in self._reasons.items()}

    @property
    def state(self) -> LearnerState:
        """Return a constant state: there is no learning curve of chosen rows."""
        return LearnerState(0, (), "useful")

    def update(self, training: list[tuple[int, str]]) -> None:
        """Do nothing: `rung improve` learns."""

    def queue(self) -> Sequence[int]:
        """Return places of chosen rows, in the order to ask."""
        return list(self._reasons)

    def reason(self, text: str) -> str:
        """Return why a row was chosen: unsure, contradicted or novel."""
        return self._by_text.get(text, UNSURE)

    def suggest(self, place: int) -> tuple[str, float] | None:
        """Return the served answer and its probability."""
        return self._answers.get(self._rows[place].text)

    def wait(self, seconds: float = 60.0) -> bool:
        """Return True at once."""
        return True


class ReviewSession(LabellingSession):
    """A session over served rows.

    An audit interval is a round, which is complete when all its rows are decided.
    """

    learns = False

    def __init__(
        self,
        pool: Pool,
        store: AnnotationStore,
        spec: LabellingSpec,
        strategy: ReviewStrategy,
        title: str,
        round_size: int,
    ) -> None:
        self._round_size = round_size
        super().__init__(pool, store, spec, strategy, title)

    def _audit_census(self) -> Census:
        rows = self.pool.rows
        audit = self._places_by_zone["audit"]
        complete = 0
        for begin in range(0, len(audit), self._round_size):
            part = audit[begin : begin + self._round_size]
            undecided = sum(
                self._is_undecided(place) or self._is_disputed(rows[place].text) for place in part
            )
            if undecided or len(part) < self._round_size:
                return Census(complete * _POSITION_STEP, len(part) - undecided, self._round_size, ())
            complete += len(part)
        return Census(complete * _POSITION_STEP, 0, self._round_size, ())


def review_pool(candidates: Sequence[ReviewCandidate], labels: Mapping[str, str], round_size: int) -> Pool:
    """Return the candidates as a pool: rows of the audit first, in the order of arrival."""
    audit = sorted(
        (c for c in candidates if c.audit_position is not None), key=lambda c: c.audit_position or 0
    )
    chosen = [c for c in candidates if c.audit_position is None]
    hash_range = 2.0**64
    rows = [
        PoolRow(c.text, int(place * _POSITION_STEP * hash_range), c.prediction, 0, c.cells, AUDIT)
        for place, c in enumerate(audit)
    ] + [
        PoolRow(c.text, 2**63 + int(c.text, 16) // 2, c.prediction, 0, c.cells, CHOSEN) for c in chosen
    ]  # fmt: skip
    end = max(len(audit), 1) * 4 * _POSITION_STEP
    zones = Zones(
        round_size * _POSITION_STEP,
        max(end, round_size * 4 * _POSITION_STEP),
        max(end, round_size * 4 * _POSITION_STEP),
    )
    return Pool(tuple(rows), zones, len(rows), len(rows), labels)


def novelty(texts: Sequence[str], training: Sequence[str], featurizer: Featurizer) -> npt.NDArray[np.float64]:
    """Return the distance of each text to the nearest training text, as 1 minus their cosine.

    0 without training texts.

    An even sample of the training texts is used if there are many.
    """
    if not len(texts) or not len(training):
        return np.zeros(len(texts))
    sample = list(training[:: max(len(training) // _MAX_TRAINING_TEXTS, 1)])
    vectors = featurizer.transform([*sample, *texts])
    known, new = vectors[: len(sample)], vectors[len(sample) :]
    nearest = [(new[begin : begin + 500] @ known.T).max(axis=1) for begin in range(0, len(new), 500)]
    return np.asarray(1.0 - np.concatenate(nearest), np.float64)
