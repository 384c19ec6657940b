"""Hundreds of candidates, the luckiest on training rows taken: its certificate is wrong no more often than it says.

Each product has a winner above its bar, certified by a look of its own, and candidates whose truth lies just below the bar.
Candidates are scored on training rows and chosen by the real `compression.choose`; the chosen one is looked at through the real
`begin_look` and `certify`. Choosing on the certification rows instead is wrong nearly always: the test can fail.
"""

import math

import numpy as np
import pytest

from rung.building import certify, compression
from rung.building.certify import Requirement
from rung.building.compression import Wanted
from rung.core.certificate_lock import CertificateLock
from rung.core.spec.bar import Condition
from rung.core.stats.confidence_bounds import proportion_lower
from rung.core.types import Examples, Field, Prediction, Schema
from rung.tasks.text_classification import TextClassification

SCHEMA = Schema((Field("text", "text", "input"),), (Field("label", "category", "output", ("no", "yes")),))
ACCURACY = TextClassification().metric("accuracy", SCHEMA)
RIGHT, WRONG = Prediction("yes"), Prediction("no")
ROWS, TRAIN, CANDIDATES, PRODUCTS = 60, 200, 1_000, 200
UNITS = [f"{unit:016x}" for unit in np.random.default_rng(0).integers(0, 2**63, ROWS).tolist()]
EXAMPLES = Examples(SCHEMA, {"text": UNITS}, ["yes"] * ROWS, UNITS, list(range(ROWS)), [0.0] * ROWS)


@pytest.fixture(autouse=True)
def disk_that_keeps_up(monkeypatch):
    monkeypatch.setattr("rung.core.files.os.fsync", lambda descriptor: None)


def look(lock, hits, bar, name):
    needs = [Requirement(Condition(metric="accuracy", at_least=float(bar)), ACCURACY)]
    taken = certify.begin_look(EXAMPLES, name, needs, 0.95, lock)
    answers = [RIGHT if hit else WRONG for hit in hits]
    return certify.certify(taken, needs, EXAMPLES, answers, lock)


def trial(name, lost, size):
    return {
        "name": name, "status": "measured", "lost": lost, "size_mb": size, "problems": [], "over_limits": [], "differing": 0,
        "measured": {"cpu_seconds_per_1k": 1.0},
    }  # fmt: skip


def wrong_share(folder, choose_on_certification):
    """Return how often a product's chosen candidate was certified although its truth is below the bar."""
    wrong = 0
    for seed in range(PRODUCTS):
        rng = np.random.default_rng(seed)
        lock = CertificateLock(folder / f"{choose_on_certification}-{seed}.lock")
        # The bar that the second look passes with as many hits as are likely below it: where an error hurts most.
        first = look(lock, np.ones(ROWS, dtype=bool), 0.92, "winner")
        assert first.passed
        alpha = certify.next_alpha(UNITS, lock, 0.95)
        bar = proportion_lower(ROWS - 1, ROWS, alpha)
        truth = bar - 1e-9
        hits = rng.random((CANDIDATES, ROWS)) < truth
        scored = hits if choose_on_certification else rng.random((CANDIDATES, TRAIN)) < truth
        trials = [trial(f"c{i}", float(1.0 - row.mean()), 1.0) for i, row in enumerate(scored)]
        chosen = compression.choose(trials, Wanted(loss=1.0))
        wrong += look(lock, hits[int(chosen["name"][1:])], bar, chosen["name"]).passed
    return wrong / PRODUCTS


def test_the_luckiest_of_many_candidates_is_certified_wrongly_no_more_often_than_one(tmp_path):
    found = wrong_share(tmp_path, choose_on_certification=False)
    assert found <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / PRODUCTS)
    # The look spends far less than 5 %: the winner's passed look published a number, and counts.
    assert found <= 0.02


def test_a_search_on_the_certification_rows_would_not_be_valid(tmp_path):
    assert wrong_share(tmp_path, choose_on_certification=True) > 0.05 + 3 * math.sqrt(0.05 * 0.95 / PRODUCTS)
