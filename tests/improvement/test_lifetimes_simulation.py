"""Lifetimes of ten improvements under attack: what serves seldom gets worse; with queue picks for random rows it nearly always does.

Everything that decides is the product's own: looks and certificates (`building.certify`), both paired tests (`improvement.noninferiority_test`), the
books of `core.lock`. Models are made: right or wrong on each row with known probability, so that the truth is known. An
adversary knows it too, chooses each challenger after seeing every verdict so far, and wants one that is worse by more than the
margin to serve. A lifetime fails when one ever does: on rows like those served now, or on rows like the old ones.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from rung.building import certify
from rung.core.certificate_lock import CertificateLock
from rung.core.metrics.base import MeanMetric
from rung.core.metrics.scored import ScoredRows
from rung.core.spec.bar import Condition
from rung.core.stats.noninferiority import no_worse
from rung.core.types import Examples, Field, Prediction, Schema
from rung.improvement.noninferiority_test import FRESH, REUSED, Comparison, noninferiority_test, row_scores

MARGIN, CONFIDENCE, IMPROVEMENTS, ALPHA = 0.03, 0.95, 10, 0.05
FRESH_ROWS, OLD_ROWS, TRAFFIC = 400, 400, 1_500
SCHEMA = Schema((Field("text", "text", "input"),), (Field("label", "category", "output", ("no", "yes")),))
ACCURACY = MeanMetric("accuracy", lambda truth, answer: float(truth == answer.value), binary=True)
BAR = [certify.Requirement(Condition(metric="accuracy", at_least=0.7), ACCURACY)]


NO_WORSE = lru_cache(maxsize=None)(no_worse)


class Books(CertificateLock):
    """certificate.lock without a disk: thousands of lifetimes would wear one out. Content goes through JSON as in the file."""

    def __init__(self):
        super().__init__(Path("certificate.lock"))
        self._text = json.dumps({"format": 1, "splits": {}, "looks": []})

    def _read(self):
        return json.loads(self._text)

    @contextmanager
    def _held(self):
        content = self._read()
        yield content
        self._text = json.dumps(content)


@pytest.fixture(autouse=True)
def no_disk(monkeypatch):
    monkeypatch.setattr("rung.core.certificate_lock.write_json", lambda path, content: None)
    # The same counts come again and again: each is tested once.
    monkeypatch.setattr("rung.improvement.noninferiority_test.no_worse", NO_WORSE)


class World:
    """What champion and challenger get right on a row: a joint chance for old rows and for those of now.

    lost: the champion alone is right; won: the challenger alone; on the others both or neither is.
    """

    def __init__(self, rng):
        self.rng = rng
        self.units = 0

    def rows(self, count, champion, lost, won):
        """Return (units, champion right, challenger right) of fresh rows."""
        right = self.rng.random(count) < champion
        flip = self.rng.random(count)
        other = np.where(right, flip >= lost / champion, flip < won / max(1 - champion, 1e-9))
        self.units += count
        return [f"{u:016x}" for u in range(self.units - count, self.units)], right, other

    def challenge(self, old_right, champion, lost, won):
        """Return what a challenger with these chances gets right where the champion's answers are known."""
        flip = self.rng.random(len(old_right))
        return np.where(old_right, flip >= lost / champion, flip < won / max(1 - champion, 1e-9))


YES, NO = Prediction("yes", 0.9), Prediction("no", 0.9)


def examples(units):
    n = len(units)
    return Examples(SCHEMA, {"text": units}, ["yes"] * n, units, list(range(1, n + 1)), [0.0] * n)


def answers(right):
    return [YES if ok else NO for ok in right.tolist()]


def may_serve(number, fresh, old, lock):
    """Return whether the gate lets a challenger through: the order of `improving._judge`."""
    units, one, other = fresh
    rows = examples(units)
    look = certify.begin_look(rows, f"model {number}", BAR, CONFIDENCE, lock)
    outcome = certify.certify(look, BAR, rows, answers(other), lock)
    if not outcome.passed:
        return "not certified"
    pair = Comparison("news", "accuracy", f"before {number}", f"model {number}", MARGIN, CONFIDENCE, True)
    for kind, (names, a, b) in ((FRESH, fresh), (REUSED, old)):
        worth = tuple(
            row_scores(ACCURACY, ScoredRows(["yes"] * len(names), answers(x), SCHEMA, names, {}))
            for x in (a, b)
        )
        if not noninferiority_test(kind, pair, names, worth, lock).passed:
            return f"worse on {kind} rows"
    return "promoted"


def lifetime(seed, strategy, sample):
    """Return whether something worse by more than the margin ever came to serve in a lifetime, and how often anything did."""
    rng = np.random.default_rng(seed)
    world, lock = World(rng), Books()
    now, old = 0.85, 0.85
    old_units, old_right, _ = world.rows(OLD_ROWS, old, 0.0, 0.0)
    failed, promoted, verdicts = False, 0, []
    for number in range(1, IMPROVEMENTS + 1):
        (lost_now, won_now), (lost_old, won_old) = strategy(rng, verdicts)
        fresh = sample(world, now, lost_now, won_now)
        challenger = world.challenge(old_right, old, lost_old, won_old)
        verdicts.append(may_serve(number, fresh, (old_units, old_right, challenger), lock))
        if verdicts[-1] == "promoted":
            promoted += 1
            failed |= max(lost_now - won_now, lost_old - won_old) > MARGIN
            now, old, old_right = now + won_now - lost_now, old + won_old - lost_old, challenger
    return failed, promoted


def at_random(world, champion, lost, won):
    """Rows of the audit."""
    return world.rows(FRESH_ROWS, champion, lost, won)


def queue_picks(world, champion, lost, won):
    """What people were asked because somebody said the champion was wrong there, or because nobody doubted either answer."""
    units, one, other = world.rows(TRAFFIC, champion, lost, won)
    order = np.argsort(np.where(one & ~other, 2, np.where(~one & ~other, 1, 0)), kind="stable")[:FRESH_ROWS]
    return [units[i] for i in order], one[order], other[order]


def just_beyond(rng, verdicts):
    """Always as little too bad as can be, now and in the old world: what is nearest to passing."""
    return (MARGIN + 0.001, 0.0), (MARGIN + 0.001, 0.0)


def wins_and_losses(rng, verdicts):
    """Many gains hide more losses: the bound must be of the difference."""
    return (0.09 + MARGIN + 0.001, 0.09), (0.0, 0.0)


def worse_now_alone(rng, verdicts):
    """As good as ever on the old rows, worse on what is served now."""
    return (MARGIN + 0.005, 0.0), (0.0, 0.0)


def worse_of_old_alone(rng, verdicts):
    """Gains on what is served now, paid for on the old rows; the same challenger again while the verdict is near."""
    return (0.0, 0.05), (MARGIN + 0.001, 0.0)


def learns_from_verdicts(rng, verdicts):
    """Sound challengers until the old rows once refused one; then what fits the hole it saw."""
    if verdicts and verdicts[-1] == "worse on reused rows":
        return (0.0, 0.04), (0.05 + MARGIN, 0.05 - 0.001)
    if verdicts and verdicts[-1] == "promoted":
        return (MARGIN + 0.001, 0.0), (0.0, 0.0)
    return (0.0, 0.03), (0.001, 0.0)


ADVERSARIES = [just_beyond, wins_and_losses, worse_now_alone, worse_of_old_alone, learns_from_verdicts]


def share_of_failures(strategy, sample, lifetimes):
    found = [lifetime(seed, strategy, sample) for seed in range(lifetimes)]
    return float(np.mean([failed for failed, _ in found]))


def most(lifetimes):
    """Return how large a share may be seen by chance at a true share of ALPHA: three standard deviations above it."""
    return ALPHA + 3 * np.sqrt(ALPHA * (1 - ALPHA) / lifetimes)


@pytest.mark.parametrize("strategy", ADVERSARIES)
def test_what_serves_seldom_gets_worse(strategy):
    assert share_of_failures(strategy, at_random, 25) <= most(25)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ADVERSARIES)
def test_what_serves_seldom_gets_worse_in_500_lifetimes(strategy):
    assert share_of_failures(strategy, at_random, 500) <= ALPHA


@pytest.mark.parametrize("strategy", [worse_now_alone])
def test_with_queue_picks_the_same_test_fails(strategy):
    """The certificate and the fresh check believe what they are given; only the choice of rows is at fault."""
    assert share_of_failures(strategy, queue_picks, 30) > 0.9 > most(30)
    assert share_of_failures(strategy, at_random, 30) <= most(30)


def test_sound_challengers_do_pass():
    """A gate that lets nothing through would pass all of the above."""
    better = [
        lifetime(seed, lambda rng, verdicts: ((0.0, 0.012), (0.0, 0.005)), at_random)[1] for seed in range(10)
    ]
    assert min(better) >= 1 and np.mean(better) > 2
