"""Sequential drift monitoring of a served model, with a bound on false alarms that holds for ever.

What is guaranteed
------------------
A *period* begins with the first served row of a bundle, and again when an alarm is acknowledged. If nothing
drifts, the probability that a period of any length ever alarms is at most `false_alarms`. "Nothing drifts"
means, for each test:

- `input`: counted training rows and served rows are exchangeable. The estimation error of the reference is
  accounted for (`drift.rank_test`); `drift.reference` explains why training rows can serve as reference.
- `answers`, tests `answer` and `sureness`: the answers of the period are exchangeable among themselves.
  Held-out answers are not part of these tests: they come from models fitted on fewer rows, a difference that
  a long stream would detect.
- `answers`, shares of labels, shares of who answered (cascades, known answers) and mean confidence: the true share lies in the interval shown, which is the
  interval of the held-out answers by Chernoff's bound, widened by `tolerance` for the difference between
  those models and this one.
- `right`: among rows drawn at random for review (feedback with the source `audit`), no more are wrong than
  the certificate allows, or, without a certificate of accuracy, than the interval of held-out rows allows.
  Rows that users and reviewers choose to correct are no random sample: they are counted and shown as "of
  reviewed rows", and never cause an alarm.

The capital of each test is a nonnegative supermartingale **in its own history**: by Ville's inequality it
ever reaches 1/a with probability at most a. The tests share `false_alarms` by a union bound: half for inputs,
a quarter each for answers and for correctness, evenly within each. Capitals are not averaged: capitals with
different histories need not be fair bets in their joint history (Choe & Ramdas 2024), and the union bound
needs no joint history.

What is not covered: traffic that is not exchangeable by nature (day and night, weekends) is drift in this
sense and will alarm. Repeated inputs count once, if the task treats repeats as copies.
"""

from __future__ import annotations

import base64
import math
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from rung.core.label_sets import SEPARATORS, read_set
from rung.core.manifest import Manifest
from rung.core.spec.drift import DriftSpec
from rung.monitoring.drift.betting import Floats
from rung.monitoring.drift.history import EvidenceHistory
from rung.monitoring.drift.mean_test import MeanTest, chernoff_interval
from rung.monitoring.drift.rank_test import RankTest
from rung.monitoring.drift.reference import DriftReference

if TYPE_CHECKING:
    from rung.journal.reader import LoggedFeedback, LoggedPrediction

ALPHA_SHARES = {"input": 0.5, "answers": 0.25, "right": 0.25}
# Distinct inputs that are remembered to recognise repeats.
_MAX_RECENT_INPUTS = 20_000
# Error of the intervals of held-out answers, shared by all of them.
_INTERVAL_ALPHA = 0.01


@dataclass
class MonitoredTest:
    """A test with its history.

    key: its name; kind: a key of ALPHA_SHARES. alarm: None, or facts of its first alarm.
    """

    key: str
    kind: str
    test: RankTest | MeanTest
    history: EvidenceHistory = field(default_factory=EvidenceHistory)
    alarm: dict[str, Any] | None = None

    def record(self, evidence: Floats, threshold: float, rows: Sequence[tuple[str, float]]) -> None:
        """Record the log capital after each row. rows: (id, time) of each."""
        start = self.test.capital.rows - len(evidence)
        self.history.add(evidence, start)
        over = np.flatnonzero(evidence >= threshold)
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
        test = (RankTest if raw["is_rank"] else MeanTest).from_dict(raw["test"])
        return cls(raw["key"], raw["kind"], test, EvidenceHistory.from_dict(raw["trail"]), raw["alarm"])


@dataclass
class MonitoringPeriod:
    """A monitoring period: its tests and counts.

    compared_with: `training`, or `served` to compare the rows of the period with each other after an alarm
    was acknowledged. repeats: rows left out as repeated inputs. judged: predictions whose audit feedback was
    counted.
    """

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

    def alarm_threshold(self, test: MonitoredTest, false_alarms: float) -> float:
        """Return the log capital at which a test alarms: its share of `false_alarms` by the union bound."""
        n_tests = sum(other.kind == test.kind for other in self.tests)
        return math.log(n_tests / (ALPHA_SHARES[test.kind] * false_alarms))

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
        # Of models in a row: a rising share of the dear one is a rising bill.
        shares |= {f"by:{name}": count / answers.rows for name, count in answers.answered_by.items()}
        for key, share in shares.items():
            low, high = chernoff_interval(share, answers.rows, _INTERVAL_ALPHA / len(shares))
            test = MeanTest(max(low - spec.tolerance, 0.0), min(high + spec.tolerance, 1.0))
            found.append(MonitoredTest(key, "answers", test))
    allowed = allowed_error_rate(reference, manifest, spec)
    if allowed is not None:
        found.append(MonitoredTest("right", "right", MeanTest(0.0, allowed)))
    return MonitoringPeriod(number, against, secrets.randbits(63), found)


def allowed_error_rate(reference: DriftReference, manifest: Manifest, spec: DriftSpec) -> float | None:
    """Return the error rate that the certificate, or else the held-out rows, allow.

    None where neither gives one.
    """
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
    """Updates a period with served rows and feedback.

    repeats_are_copies: the task counts a repeated input once.
    """

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

    def add_predictions(self, rows: Sequence[LoggedPrediction]) -> None:
        """Update the tests with the next rows, oldest first."""
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

    def add_feedback(self, feedback: Sequence[LoggedFeedback]) -> None:
        """Update the correctness test with audit feedback.

        Each prediction counts once, with its latest answer at that time.
        """
        period = self.period
        judged = set(period.judged)
        audited = (item for item in feedback if item.source == "audit" and item.at >= period.since)
        new = [item for item in audited if item.prediction not in judged]
        monitored = next((item for item in period.tests if item.key == "right"), None)
        if monitored is None or not new:
            return
        assert isinstance(monitored.test, MeanTest)  # noqa: S101 - start_period() makes it one
        output = self._schema.outputs[0].name
        errors = np.array([float(is_error(item, self._reference, output)) for item in new])
        evidence = monitored.test.update(errors)
        threshold = period.alarm_threshold(monitored, self._false_alarms)
        monitored.record(evidence, threshold, [(item.prediction, item.at) for item in new])
        period.judged += [item.prediction for item in new]

    def _is_new(self, row: LoggedPrediction) -> bool:
        """Return whether a row is no repeat of a recent input, and remember its input."""
        if not self._ignore_repeats or row.input_hash is None:
            return True
        short = int(row.input_hash[:16], 16)
        if short in self._recent_inputs:
            return False
        self._recent_inputs[short] = None
        if len(self._recent_inputs) > _MAX_RECENT_INPUTS:
            del self._recent_inputs[next(iter(self._recent_inputs))]
        return True

    def _add_answers(self, rows: Sequence[LoggedPrediction], draw: np.random.Generator) -> None:
        answers = self._reference.predictions
        values = [row.output.get(self._schema.outputs[0].name) for row in rows]
        probabilities = [row.probability for row in rows]
        bins = {"answer": answers.value_bins.assign(values)}
        if answers.confidence_bins is not None:
            bins["sureness"] = answers.confidence_bins.assign(probabilities)
        self._update_rank_tests("answers", bins, rows, draw)
        ids = [(row.id, row.at) for row in rows]
        for item in self.period.tests:
            if item.kind == "answers" and isinstance(item.test, MeanTest):
                found = _measured(item.key, rows, values)
                evidence = item.test.update(np.array([float(x or 0.0) for x in found]).clip(0.0, 1.0))
                item.record(evidence, self.period.alarm_threshold(item, self._false_alarms), ids)

    def _update_rank_tests(
        self,
        kind: str,
        bins: Mapping[str, Any],
        rows: Sequence[LoggedPrediction],
        draw: np.random.Generator,
    ) -> None:
        ids = [(row.id, row.at) for row in rows]
        for item in self.period.tests:
            if item.kind == kind and isinstance(item.test, RankTest):
                evidence = item.test.update(bins[item.key], draw.random(len(rows)))
                item.record(evidence, self.period.alarm_threshold(item, self._false_alarms), ids)


def _measured(key: str, rows: Sequence[LoggedPrediction], values: Sequence[Any]) -> list[Any]:
    """Return what a test of a mean sees of each row: a probability, or whether a share counts it."""
    measure, _, name = key.partition(":")
    if measure == "sure":
        return [row.probability for row in rows]
    if measure == "by":
        return [row.answered_by == name for row in rows]
    return [_holds(value, name) for value in values]


def _holds(value: Any, label: str) -> bool:
    """Return whether an answer is a label, or holds it among others."""
    return label in value if isinstance(value, list) else str(value) == label


def is_error(feedback: LoggedFeedback, reference: DriftReference, output: str) -> bool:
    """Return whether an answer was wrong, or a number whose error exceeds the reference's threshold.

    output: the name of the answer's field.
    """
    value, threshold = feedback.output.get(output), reference.predictions.error_threshold
    if isinstance(value, list):
        # A person may have written labels with whatever mark between them.
        return all(read_set(value) != read_set(feedback.answer, mark) for mark in ("", *SEPARATORS))
    if threshold is None:
        return str(value) != str(feedback.answer)
    try:
        return abs(float(value) - float(feedback.answer)) > threshold  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return True
