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

ALPHA_SHARES = {"input": 0.5, "answers": 0.25, "right": 0.25}
# Distinct texts that are remembered, to know one asked again.
_MAX_RECENT_INPUTS = 20_000
# Chance that the interval of held-out answers misses theirs; shared by all intervals.
_INTERVAL_ALPHA = 0.01


@dataclass
class MonitoredTest:
    """A test, what it watches and how its evidence went. alarm: None, or when it first reached what is needed."""

    key: str
    kind: str
    test: RankTest | MeanTest
    history: EvidenceHistory = field(default_factory=EvidenceHistory)
    alarm: dict[str, Any] | None = None

    def record(self, evidence: Floats, needed: float, rows: Sequence[tuple[str, float]]) -> None:
        """Note how the evidence went; rows: id and time of each."""
        start = self.test.capital.rows - len(evidence)
        self.history.add(evidence, start)
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
            "trail": self.history.as_dict(),
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
    compared_with: str
    seed: int
    tests: list[MonitoredTest]
    rows: int = 0
    repeats: int = 0
    without_input: dict[str, int] = field(default_factory=dict)
    first_at: float | None = None
    last_at: float | None = None
    last_id: str = ""
    judged: list[str] = field(default_factory=list)
    since: float = 0.0
    recent_inputs: list[int] = field(default_factory=list)

    def alarm_threshold(self, watched: MonitoredTest, false_alarms: float) -> float:
        """Return the log capital at which a test alarms."""
        alike = sum(other.kind == watched.kind for other in self.tests)
        return math.log(alike / (ALPHA_SHARES[watched.kind] * false_alarms))

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        recent = base64.b64encode(np.array(self.recent_inputs, dtype=np.uint64).tobytes()).decode()
        return {
            "number": self.number,
            "against": self.compared_with,
            "seed": self.seed,
            "watched": [item.as_dict() for item in self.tests],
            "rows": self.rows,
            "repeats": self.repeats,
            "without_input": self.without_input,
            "first_at": self.first_at,
            "last_at": self.last_at,
            "last_id": self.last_id,
            "heard": self.judged,
            "since": self.since,
            "remembered": recent,
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> MonitoringPeriod:
        """Return what `as_dict` wrote."""
        recent = np.frombuffer(base64.b64decode(raw["remembered"]), dtype=np.uint64).tolist()
        renamed = {
            "against": "compared_with",
            "watched": "tests",
            "heard": "judged",
            "remembered": "recent_inputs",
        }
        values = {renamed.get(key, key): value for key, value in raw.items()}
        tests = [MonitoredTest.from_dict(item) for item in raw["watched"]]
        return cls(**values | {"tests": tests, "recent_inputs": recent})


def start_period(
    reference: DriftReference, manifest: Manifest, spec: DriftSpec, against: str = "training", number: int = 1
) -> MonitoringPeriod:
    """Return a new period with its tests."""
    from_training = against == "training"
    found = []
    for item in reference.inputs.statistics:
        counts = reference.counts[item.key] if from_training else [0] * item.binning.n_bins
        found.append(MonitoredTest(item.key, "input", RankTest.from_counts(counts)))
    answers = reference.predictions
    if answers.value_bins.n_bins > 1:
        found.append(
            MonitoredTest("answer", "answers", RankTest.from_counts([0] * answers.value_bins.n_bins))
        )
    if answers.confidence_bins is not None:
        found.append(
            MonitoredTest("sureness", "answers", RankTest.from_counts([0] * answers.confidence_bins.n_bins))
        )
    if from_training and answers.rows:
        shares = {f"share:{label}": count / answers.rows for label, count in answers.label_counts.items()}
        shares |= {} if answers.mean_confidence is None else {"sure": answers.mean_confidence}
        for key, share in shares.items():
            low, high = chernoff_interval(share, answers.rows, _INTERVAL_ALPHA / len(shares))
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
    answers = reference.predictions
    if not answers.rows or not (answers.label_counts or answers.error_threshold is not None):
        return None
    high = chernoff_interval(answers.n_errors / answers.rows, answers.rows, _INTERVAL_ALPHA)[1]
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
        self._ignore_repeats = repeats_are_copies
        self._recent_inputs = dict.fromkeys(period.recent_inputs)

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
            bins = self._reference.inputs.assign_bins(self._schema, columns)
            self._update_rank_tests("input", bins, readable, draw)
        if new:
            self._add_answers(new, draw)
        period.recent_inputs = list(self._recent_inputs)

    def add_feedback(self, said: Sequence[FeedbackVerdict]) -> None:
        """Take feedback of random audits, each prediction once, as it was last judged when it is first heard of."""
        period = self.period
        watched = next((item for item in period.tests if item.key == "right"), None)
        known = set(period.judged)
        new = [s for s in said if s.source == "audit" and s.at >= period.since and s.prediction not in known]
        if watched is None or not new:
            return
        missed = np.array([float(is_error(s, self._reference, self._schema.outputs[0].name)) for s in new])
        evidence = watched.test.update(missed)  # type: ignore[call-arg]
        watched.record(
            evidence, period.alarm_threshold(watched, self._false_alarms), [(s.prediction, s.at) for s in new]
        )
        period.judged += [s.prediction for s in new]

    def _is_new(self, row: ServedPrediction) -> bool:
        """Return whether a row's text was not asked lately, and remember it."""
        if not self._ignore_repeats or row.input_hash is None:
            return True
        short = int(row.input_hash[:16], 16)
        if short in self._recent_inputs:
            return False
        self._recent_inputs[short] = None
        if len(self._recent_inputs) > _MAX_RECENT_INPUTS:
            del self._recent_inputs[next(iter(self._recent_inputs))]
        return True

    def _add_answers(self, rows: Sequence[ServedPrediction], draw: np.random.Generator) -> None:
        answers = self._reference.predictions
        values = [row.output.get(self._schema.outputs[0].name) for row in rows]
        sure = [row.output.get("probability") for row in rows]
        bins = {"answer": answers.value_bins.assign(values)}
        if answers.confidence_bins is not None:
            bins["sureness"] = answers.confidence_bins.assign(sure)
        self._update_rank_tests("answers", bins, rows, draw)
        names = [(row.id, row.at) for row in rows]
        for watched in self.period.tests:
            if watched.kind == "answers" and isinstance(watched.test, MeanTest):
                label = watched.key.removeprefix("share:")
                found = sure if watched.key == "sure" else [str(value) == label for value in values]
                mean = watched.test.update(np.array([float(x or 0.0) for x in found]).clip(0.0, 1.0))
                watched.record(mean, self.period.alarm_threshold(watched, self._false_alarms), names)

    def _update_rank_tests(
        self,
        kind: str,
        bins: Mapping[str, Any],
        rows: Sequence[ServedPrediction],
        draw: np.random.Generator,
    ) -> None:
        names = [(row.id, row.at) for row in rows]
        for watched in self.period.tests:
            if watched.kind == kind and isinstance(watched.test, RankTest):
                uniform = draw.random(len(rows))
                evidence = watched.test.update(bins[watched.key], uniform)
                watched.record(evidence, self.period.alarm_threshold(watched, self._false_alarms), names)


def is_error(said: FeedbackVerdict, reference: DriftReference, output: str) -> bool:
    """Return whether an answer was wrong, or a number further off than most held-out ones were."""
    value, limit = said.output.get(output), reference.predictions.error_threshold
    if limit is None:
        return str(value) != str(said.right)
    try:
        return abs(float(value) - float(said.right)) > limit  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return True
