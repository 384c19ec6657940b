"""Adversaries who choose what gets labelled cannot make a bad model certify; if queue picks could certify, they would.

Each world has 3,000 rows, three tenths of them hard: the model is right on 98 % of the easy ones and on half of the hard
ones, so on 0.836 of all. The bar is 0.85: every certificate is false.
"""

import numpy as np
import pytest

from rung.core.stats.confidence_bounds import proportion_lower
from rung.data.labels.audit_sample import Zones, census

ZONES = Zones(first=0.02, audit=0.2, random=0.4)
ROWS, WORLDS, BAR, ALPHA = 3_000, 600, 0.85, 0.05
LINE = 2.0**64


def world(rng):
    units = rng.integers(0, 2**64, ROWS, dtype=np.uint64)
    hard = rng.random(ROWS) < 0.3
    right = rng.random(ROWS) < np.where(hard, 0.5, 0.98)
    return units, hard, right


def claims(right, certifies, alpha):
    rows = int(certifies.sum())
    return rows > 0 and proportion_lower(int(right[certifies].sum()), rows, alpha) >= BAR


def rate(strategy):
    return float(np.mean([strategy(*world(np.random.default_rng(seed))) for seed in range(WORLDS)]))


def queue_picks_certify(units, hard, right):
    """What is shunned: 800 labels on the rows somebody likes best, and those on the certification side certify."""
    order = np.argsort(hard, kind="stable")[:800]
    labelled = np.zeros(ROWS, bool)
    labelled[order] = True
    return claims(right, labelled & (units.astype(float) < ZONES.audit * LINE), ALPHA / 2)


def certify_at(units, right, decided, alpha_of=lambda passed: ALPHA / 2 ** (1 + passed)):
    found = census(units, units[~decided], ZONES)
    return claims(right, units.astype(float) < found.border * LINE, alpha_of(len(found.passed_over)))


def easy_rows_first(units, hard, right):
    """The same labeller against the census: hard rows are put off, so no interval is whole."""
    order = np.argsort(hard, kind="stable")[:800]
    decided = np.zeros(ROWS, bool)
    decided[order] = True
    return certify_at(units, right, decided)


def any_order_to_the_first_border(units, hard, right):
    place = units.astype(float)
    decided = (place < ZONES.borders()[0] * LINE) | ~hard
    return certify_at(units, right, decided)


def best_border(units, hard, right, alpha_of):
    """Sees the texts, knows which are hard, and stops at whichever border the fewest were."""
    place = units.astype(float)
    shares = [hard[place < border * LINE].mean() for border in ZONES.borders()]
    border = ZONES.borders()[int(np.argmin(shares))]
    return certify_at(units, right, place < border * LINE, alpha_of)


def test_queue_picks_that_certify_lie():
    assert rate(queue_picks_certify) > 0.9


@pytest.mark.parametrize("strategy", [easy_rows_first, any_order_to_the_first_border])
def test_the_census_does_not(strategy):
    assert rate(strategy) <= ALPHA


def test_choosing_when_to_stop_is_paid_for():
    """With every border free of charge the same adversary gains; with the charge the stated error holds."""
    free = rate(lambda *w: best_border(*w, lambda passed: ALPHA))
    paid = rate(lambda *w: best_border(*w, lambda passed: ALPHA / 2 ** (1 + passed)))
    assert paid <= ALPHA
    assert paid < free


def test_the_census_is_blind_to_who_labelled_what():
    """Labels beyond the interval, chosen by anybody, change nothing of what certifies."""
    units, hard, right = world(np.random.default_rng(1))
    place = units.astype(float)
    whole = place < ZONES.borders()[1] * LINE
    plain = census(units, units[~whole], ZONES)
    more = census(units, units[~(whole | (right & (place < ZONES.borders()[2] * LINE)))], ZONES)
    assert plain.border == more.border == ZONES.borders()[1] and plain.passed_over == (ZONES.borders()[0],)


def test_one_row_put_off_keeps_its_interval_from_being_whole():
    units, _, _ = world(np.random.default_rng(2))
    place = units.astype(float)
    low = np.argsort(place)
    decided = place < ZONES.borders()[0] * LINE
    assert census(units, units[~decided], ZONES).border == ZONES.borders()[0]
    decided[low[3]] = False
    found = census(units, units[~decided], ZONES)
    assert found.border == 0.0 and found.wanted - found.done == 1


def test_random_rows_estimate_without_bias_and_chosen_ones_do_not():
    """The score on an interval of the line is that of all rows, however hard the chosen ones are."""
    random, chosen, truth = [], [], []
    for seed in range(200):
        units, hard, right = world(np.random.default_rng(seed))
        zone = ZONES.of(units)
        random.append(right[np.argsort(np.where(zone == 1, units, np.uint64(2**64 - 1)))[:100]].mean())
        picks = np.flatnonzero(zone == 2)
        chosen.append(right[picks[np.argsort(~hard[picks], kind="stable")][:100]].mean())
        truth.append(right.mean())
    assert abs(np.mean(random) - np.mean(truth)) < 0.01
    assert np.mean(truth) - np.mean(chosen) > 0.2
