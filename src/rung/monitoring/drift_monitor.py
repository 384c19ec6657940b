"""Does the world still look like the one the model was built for? Row by row, with false alarms bounded for ever.

What is certain
---------------
A *period* begins with a bundle's first served row, and again when an alarm is acknowledged. If nothing drifts, then
the chance that a period of whatever length ever alarms is at most `false_alarms`. "Nothing drifts" says, of each test:

- `input`: counted training rows and served rows are exchangeable (`runtime.drift.rank_test`: the reference's own
  error of estimation is accounted for; `runtime.drift.reference` says why training rows are fit for it).
- `answers`, `answer` and `sureness`: the answers of the period are exchangeable among themselves. Held-out answers are
  no part of it: they were given by models fitted on fewer rows, a difference that an endless stream would find.
- `answers`, shares of labels and mean sureness: the true share lies in the interval shown: that of the held-out answers
  by Chernoff's bound, widened by `tolerance`, which is what those other models may differ by.
- `right`: of rows drawn at random for review (feedback whose source is `audit`), no more are wrong than the certificate
  allows; without one that speaks of accuracy, than the interval of held-out rows does. What users and reviewers choose
  to correct is no such sample: it is counted and shown, "of reviewed rows", and never alarms.

Each test has a capital that is a nonnegative supermartingale **in its own history**: by Ville's inequality it ever
reaches 1/a with probability at most a. The tests share `false_alarms` by a union bound: half to inputs, a quarter each
to answers and to being right, evenly within. They are not averaged: capitals with different histories need not be fair
bets in their common one (Choe & Ramdas 2024), and the union bound needs no common history.

What is not covered: traffic whose quiet is not exchangeable (day and night, weekends) is drift in the sense above and
will be called so. The same text asked again counts once, where the task takes repeats for copies.
"""

from __future__ import annotations

import base64
import math
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rung.core.manifest import Manifest
from rung.core.spec.drift import DriftSpec
from rung.journal.served_rows import FeedbackVerdict, ServedPrediction
from rung.monitoring.drift.betting import Floats
from rung.monitoring.drift.history import EvidenceHistory
from rung.monitoring.drift.mean_test import MeanTest, chernoff_interval
from rung.monitoring.drift.rank_test import RankTest
from rung.monitoring.drift.reference import DriftReference

SHARES = {"input": 0.5, "answers": 0.25, "right": 0.25}
# Distinct texts that are remembered, to know one asked again.
_REMEMBERED = 20_000
# Chance that the interval of held-out answers misses theirs; shared by all intervals.
_INTERVAL_ERROR = 0.01


@dataclass
class MonitoredTest:
    """A test, what it watches and how its evidence went. alarm: None, or when it first reached what is needed."""

    key: str
    kind: str
    test: RankTest | MeanTest
    trail: EvidenceHistory = field(default_factory=EvidenceHistory)
    alarm: dict[str, Any] | None = None

    def took(self, evidence: Floats, needed: float, rows: Sequence[tuple[str, float]]) -> None:
        """Note how the evidence went; rows: id and time of each."""
        start = self.test.capital.rows - len(evidence)
        self.trail.add(evidence, start)
        over = np.flatnonzero(evidence >= needed)
        if self.alarm is None and len(over):
            first = int(over[0])
            self.alarm = {
                "key": self.key,
                "kind": self.kind,
                "rows": start + first + 1,
                "id": rows[first][0],
                "at": rows[first][1],
                "told": False,
            }

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "key": self.key,
            "kind": self.kind,
            "is_rank": isinstance(self.test, RankTest),
            "test": self.test.as_dict(),
            "trail": self.trail.as_dict(),
            "alarm": self.alarm,
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> MonitoredTest:
        """Return what `as_dict` wrote."""
        made = (RankTest if raw["is_rank"] else MeanTest).from_dict(raw["test"])
        return cls(raw["key"], raw["kind"], made, EvidenceHistory.from_dict(raw["trail"]), raw["alarm"])


@dataclass
class MonitoringPeriod:
    """A period of watching: its tests, and what was counted. against: `training`, or `served` for the rows of the
    period itself, once an alarm was acknowledged. repeats: rows left out because their text had been asked."""

    number: int
    against: str
    seed: int
    watched: list[MonitoredTest]
    rows: int = 0
    repeats: int = 0
    without_input: dict[str, int] = field(default_factory=dict)
    first_at: float | None = None
    last_at: float | None = None
    last_id: str = ""
    heard: list[str] = field(default_factory=list)
    since: float = 0.0
    remembered: list[int] = field(default_factory=list)

    def needed(self, watched: MonitoredTest, false_alarms: float) -> float:
        """Return the log capital at which a test alarms."""
        alike = sum(other.kind == watched.kind for other in self.watched)
        return math.log(alike / (SHARES[watched.kind] * false_alarms))

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        packed = base64.b64encode(np.array(self.remembered, dtype=np.uint64).tobytes()).decode()
        return {
            **vars(self),
            "watched": [item.as_dict() for item in self.watched],
            "remembered": packed,
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> MonitoringPeriod:
        """Return what `as_dict` wrote."""
        remembered = np.frombuffer(base64.b64decode(raw["remembered"]), dtype=np.uint64).tolist()
        watched = [MonitoredTest.from_dict(item) for item in raw["watched"]]
        return cls(**{**raw, "watched": watched, "remembered": remembered})


def start_period(
    reference: DriftReference, manifest: Manifest, spec: DriftSpec, against: str = "training", number: int = 1
) -> MonitoringPeriod:
    """Return a new period with its tests."""
    from_training = against == "training"
    found = []
    for item in reference.sketch.statistics:
        counts = reference.counts[item.key] if from_training else [0] * item.binned.size
        found.append(MonitoredTest(item.key, "input", RankTest.against(counts)))
    answers = reference.answers
    if answers.value.size > 1:
        found.append(MonitoredTest("answer", "answers", RankTest.against([0] * answers.value.size)))
    if answers.sureness is not None:
        found.append(MonitoredTest("sureness", "answers", RankTest.against([0] * answers.sureness.size)))
    if from_training and answers.rows:
        shares = {f"share:{label}": count / answers.rows for label, count in answers.labels.items()}
        shares |= {} if answers.sure is None else {"sure": answers.sure}
        for key, share in shares.items():
            low, high = chernoff_interval(share, answers.rows, _INTERVAL_ERROR / len(shares))
            test = MeanTest(max(low - spec.tolerance, 0.0), min(high + spec.tolerance, 1.0))
            found.append(MonitoredTest(key, "answers", test))
    allowed = allowed_error_rate(reference, manifest, spec)
    if allowed is not None:
        found.append(MonitoredTest("right", "right", MeanTest(0.0, allowed)))
    return MonitoringPeriod(number, against, secrets.randbits(63), found)


def allowed_error_rate(reference: DriftReference, manifest: Manifest, spec: DriftSpec) -> float | None:
    """Return the share of wrong answers above which the product is worse than was said; None where none was."""
    certificate = manifest.certificate or {}
    for condition in certificate.get("conditions", ()):
        if condition["metric"] == "accuracy" and condition["exact"]:
            return float(1 - condition["bound"])
    answers = reference.answers
    if not answers.rows or not (answers.labels or answers.miss_above is not None):
        return None
    high = chernoff_interval(answers.missed / answers.rows, answers.rows, _INTERVAL_ERROR)[1]
    return min(high + spec.tolerance, 1.0)


class DriftMonitor:
    """Takes served rows into a period. repeats_are_copies: of the task, whether a text asked again counts once."""

    def __init__(
        self,
        period: MonitoringPeriod,
        reference: DriftReference,
        manifest: Manifest,
        false_alarms: float,
        repeats_are_copies: bool = True,
    ) -> None:
        self.period = period
        self._reference = reference
        self._schema = manifest.schema
        self._false_alarms = false_alarms
        self._once = repeats_are_copies
        self._remembered = dict.fromkeys(period.remembered)

    def add_predictions(self, rows: Sequence[ServedPrediction]) -> None:
        """Take the next rows, oldest first."""
        period = self.period
        draw = np.random.default_rng([period.seed, period.rows])
        period.rows += len(rows)
        if rows:
            period.first_at = rows[0].at if period.first_at is None else period.first_at
            period.last_id, period.last_at = rows[-1].id, rows[-1].at
        new = [row for row in rows if self._is_new(row)]
        period.repeats += len(rows) - len(new)
        for row in new:
            if row.input is None:
                period.without_input[row.without_input] = period.without_input.get(row.without_input, 0) + 1
        readable = [row for row in new if row.input is not None]
        if readable:
            names = self._schema.input_names
            columns = {name: [(row.input or {}).get(name) for row in readable] for name in names}
            bins = self._reference.sketch.bins(self._schema, columns)
            self._rank("input", bins, readable, draw)
        if new:
            self._answers(new, draw)
        period.remembered = list(self._remembered)

    def add_feedback(self, said: Sequence[FeedbackVerdict]) -> None:
        """Take feedback of random audits, each prediction once, as it was last judged when it is first heard of."""
        period = self.period
        watched = next((item for item in period.watched if item.key == "right"), None)
        known = set(period.heard)
        new = [s for s in said if s.source == "audit" and s.at >= period.since and s.prediction not in known]
        if watched is None or not new:
            return
        missed = np.array([float(is_error(s, self._reference, self._schema.outputs[0].name)) for s in new])
        evidence = watched.test.take(missed)  # type: ignore[call-arg]
        watched.took(
            evidence, period.needed(watched, self._false_alarms), [(s.prediction, s.at) for s in new]
        )
        period.heard += [s.prediction for s in new]

    def _is_new(self, row: ServedPrediction) -> bool:
        """Return whether a row's text was not asked lately, and remember it."""
        if not self._once or row.input_hash is None:
            return True
        short = int(row.input_hash[:16], 16)
        if short in self._remembered:
            return False
        self._remembered[short] = None
        if len(self._remembered) > _REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        return True

    def _answers(self, rows: Sequence[ServedPrediction], draw: np.random.Generator) -> None:
        answers = self._reference.answers
        values = [row.output.get(self._schema.outputs[0].name) for row in rows]
        sure = [row.output.get("probability") for row in rows]
        bins = {"answer": answers.value.bins(values)}
        if answers.sureness is not None:
            bins["sureness"] = answers.sureness.bins(sure)
        self._rank("answers", bins, rows, draw)
        names = [(row.id, row.at) for row in rows]
        for watched in self.period.watched:
            if watched.kind == "answers" and isinstance(watched.test, MeanTest):
                label = watched.key.removeprefix("share:")
                found = sure if watched.key == "sure" else [str(value) == label for value in values]
                mean = watched.test.take(np.array([float(x or 0.0) for x in found]).clip(0.0, 1.0))
                watched.took(mean, self.period.needed(watched, self._false_alarms), names)

    def _rank(
        self,
        kind: str,
        bins: Mapping[str, Any],
        rows: Sequence[ServedPrediction],
        draw: np.random.Generator,
    ) -> None:
        names = [(row.id, row.at) for row in rows]
        for watched in self.period.watched:
            if watched.kind == kind and isinstance(watched.test, RankTest):
                uniform = draw.random(len(rows))
                evidence = watched.test.take(bins[watched.key], uniform)
                watched.took(evidence, self.period.needed(watched, self._false_alarms), names)


def is_error(said: FeedbackVerdict, reference: DriftReference, output: str) -> bool:
    """Return whether an answer was wrong, or a number further off than most held-out ones were."""
    value, limit = said.output.get(output), reference.answers.miss_above
    if limit is None:
        return str(value) != str(said.right)
    try:
        return abs(float(value) - float(said.right)) > limit  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return True
