"""The desk of `rung label` over what was served: the audit's rows in their order, and what is most worth a minute.

Three reasons make a row worth one: the model was unsure of it, somebody said something else of it, or nothing like it was
trained on. The three lists take turns, so that no reason crowds out the others. Such rows teach and never certify; a
share of what is asked (`improve.audit_share`) comes from the audit, blind: no answer stands beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.annotation.active_learner import LearnerState
from rung.annotation.featurizer import Featurizer
from rung.annotation.session import AnnotationStore, LabellingSession
from rung.core.spec.labelling import LabellingSpec
from rung.data.labels.audit_sample import AUDIT, CHOSEN, Census, Zones
from rung.data.labels.pool import Pool, PoolRow

UNSURE, CONTRADICTED, NOVEL = "unsure", "contradicted", "novel"
# Rows nobody may ever get to are not worth reading all of a year's traffic for.
MAX_ROWS = 20_000
_MAX_TRAINING_TEXTS = 2_000
# A place on the line for each row of the audit; far more than there will ever be.
_POSITION_STEP = 2.0**-40


@dataclass(frozen=True)
class ReviewCandidate:
    """A row that may be reviewed. prediction: its first one. sure: probability of the answer, where the model has one.
    others: different answers that callers gave. turn: its place among the audit's rows; None outside the audit."""

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
    """Says what to ask about next, from what was served; learns nothing while people review. In the place of `loop.tutor.Tutor`."""

    featurizer_name = "words"

    def __init__(
        self, pool: Pool, candidates: Mapping[str, ReviewCandidate], novelty: Mapping[str, float]
    ) -> None:
        self._answers = {
            text: (str(c.answer), c.confidence) for text, c in candidates.items() if c.confidence is not None
        }
        self._rows = pool.rows
        chosen = [place for place, row in enumerate(pool.rows) if row.zone == CHOSEN]
        sure = {place: candidates[pool.rows[place].text].confidence for place in chosen}
        others = {place: candidates[pool.rows[place].text].n_contradictions for place in chosen}
        new = {place: novelty.get(pool.rows[place].text, 0.0) for place in chosen}
        lists = {
            CONTRADICTED: sorted((p for p in chosen if others[p]), key=lambda p: -others[p]),
            UNSURE: sorted(chosen, key=lambda p: 1.0 if sure[p] is None else float(sure[p] or 0.0)),
            NOVEL: sorted((p for p in chosen if new[p] > 0), key=lambda p: -new[p]),
        }
        turns = chain.from_iterable(zip_longest(*([(p, why) for p in ps] for why, ps in lists.items())))
        self._why: dict[int, str] = {}
        for pair in turns:
            if pair is not None:
                self._why.setdefault(*pair)
        self._by_text = {pool.rows[place].text: why for place, why in self._why.items()}

    @property
    def state(self) -> LearnerState:
        """Return what is known: no curve is drawn of chosen rows."""
        return LearnerState(0, (), "useful")

    def update(self, training: list[tuple[int, str]]) -> None:
        """Nothing: `rung improve` learns."""

    def queue(self) -> Sequence[int]:
        """Return places of chosen rows in the order to ask about them."""
        return list(self._why)

    def reason(self, text: str) -> str:
        """Return why a row is asked about: unsure, contradicted or novel."""
        return self._by_text.get(text, UNSURE)

    def suggest(self, place: int) -> tuple[str, float] | None:
        """Return what was answered, and how probable the model found it."""
        found = self._answers.get(self._rows[place].text)
        return (found[0], found[1]) if found is not None and found[1] is not None else None

    def close(self) -> None:
        """Nothing runs."""

    def wait(self, seconds: float = 60.0) -> bool:
        """Return that nothing is waited for."""
        return True


class ReviewSession(LabellingSession):
    """The desk over served rows: an audit interval is a round, and is whole when its last row is decided."""

    def __init__(
        self,
        pool: Pool,
        answers: AnnotationStore,
        spec: LabellingSpec,
        tutor: ReviewStrategy,
        title: str,
        round_size: int,
    ) -> None:
        self._round_size = round_size
        super().__init__(pool, answers, spec, tutor, title)

    def _census(self) -> Census:
        rows = self.pool.rows
        undecided = {
            place
            for place in self._places_by_zone["audit"]
            if self._is_undecided(place) or self._is_disputed(rows[place].text)
        }
        audit = self._places_by_zone["audit"]
        whole = 0
        for begin in range(0, len(audit), self._round_size):
            part = audit[begin : begin + self._round_size]
            open_ = sum(place in undecided for place in part)
            if open_ or len(part) < self._round_size:
                return Census(whole * _POSITION_STEP, len(part) - open_, self._round_size, ())
            whole += len(part)
        return Census(whole * _POSITION_STEP, 0, self._round_size, ())


def review_pool(candidates: Sequence[ReviewCandidate], labels: Mapping[str, str], round_size: int) -> Pool:
    """Return the rows to review as the desk takes them: the audit's first, in the order they came."""
    audit = sorted(
        (c for c in candidates if c.audit_position is not None), key=lambda c: c.audit_position or 0
    )
    chosen = [c for c in candidates if c.audit_position is None]
    line = 2.0**64
    rows = [
        PoolRow(c.text, int(place * _POSITION_STEP * line), c.prediction, 0, c.cells, AUDIT)
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


def novelty(texts: Sequence[str], trained: Sequence[str], reader: Featurizer) -> npt.NDArray[np.float64]:
    """Return how far each text is from the nearest text trained on, as 1 minus their cosine; 0 where nothing is known.

    By hashed words and pieces of words (`loop.reading`); of many trained texts an even sample.
    """
    if not len(texts) or not len(trained):
        return np.zeros(len(texts))
    sample = list(trained[:: max(len(trained) // _MAX_TRAINING_TEXTS, 1)])
    vectors = reader.transform([*sample, *texts])
    known, asked = vectors[: len(sample)], vectors[len(sample) :]
    nearest = [(asked[begin : begin + 500] @ known.T).max(axis=1) for begin in range(0, len(asked), 500)]
    return np.asarray(1.0 - np.concatenate(nearest), np.float64)
