"""The exact paired test: valid for every truth, against an enumeration of all outcomes, and sharper than the bet."""

import math

import numpy as np
import pytest

from rung.core.stats.confidence_bounds import mean_exceeds
from rung.core.stats.noninferiority import no_worse


def rejected(n, margin, alpha):
    """Return [won, lost] where the test says `no worse`."""
    found = np.zeros((n + 1, n + 1), bool)
    for won in range(n + 1):
        for lost in range(n + 1 - won):
            found[won, lost] = no_worse(won, lost, n, margin, alpha)
            if not found[won, lost]:
                break  # More losses show less.
    return found


def probable(n, won, lost):
    """Return how probable each outcome is, from the definition."""
    table = np.zeros((n + 1, n + 1))
    for w in range(n + 1):
        for k in range(n + 1 - w):
            table[w, k] = (
                math.comb(n, w) * math.comb(n - w, k) * won**w * lost**k * (1 - won - lost) ** (n - w - k)
            )
    return table


@pytest.mark.parametrize("n,margin,alpha", [(14, 0.3, 0.05), (20, 0.2, 0.1), (25, 0.15, 0.02)])
def test_it_errs_at_most_so_often_whatever_the_truth(n, margin, alpha):
    found = rejected(n, margin, alpha)
    worst = 0.0
    for won in np.linspace(0.0, (1 - margin) / 2, 41):
        for beyond in (0.0, 0.05, 0.2):
            lost = won + margin + beyond
            if won + lost <= 1.0:
                worst = max(worst, float(probable(n, won, lost)[found].sum()))
    assert worst <= alpha
    assert worst > 0.3 * alpha, "nor is it far too careful"


def test_more_wins_and_fewer_losses_never_show_less():
    found = rejected(20, 0.2, 0.1)
    assert found[0, 0] and not found[0, 8]
    assert all(found[w + 1, k] >= found[w, k] for w in range(19) for k in range(20 - w))


def test_it_needs_fewer_rows_than_the_bet():
    def fewest(shows):
        return next(n for n in range(1, 400) if shows(n))

    counted = fewest(lambda n: no_worse(0, 0, n, 0.05, 0.01875))
    assert counted == math.ceil(math.log(0.01875) / math.log(0.95)), (
        "if a share of 5 % were lost, one would be seen"
    )
    assert counted < fewest(lambda n: mean_exceeds(np.zeros(n), -0.05, -1.0, 1.0, 0.01875))


@pytest.mark.parametrize(
    "n,margin,won,lost", [(100, 0.08, 0.02, 0.02), (400, 0.03, 0.02, 0.02), (400, 0.02, 0.05, 0.02)]
)
def test_it_passes_more_sound_challengers(n, margin, won, lost):
    draw, counted, bet = np.random.default_rng(0), 0, 0
    for _ in range(150):
        gains = draw.choice([1.0, -1.0, 0.0], n, p=[won, lost, 1 - won - lost])
        counted += no_worse(int((gains > 0).sum()), int((gains < 0).sum()), n, margin, 0.01875)
        bet += mean_exceeds(gains, -margin, -1.0, 1.0, 0.01875)
    assert counted > bet


def test_thousands_of_rows_and_the_edges():
    assert no_worse(0, 0, 5_000, 0.02, 1e-9) and not no_worse(0, 5_000, 5_000, 0.02, 0.05)
    assert no_worse(5_000, 0, 5_000, 0.02, 1e-12) and not no_worse(1, 0, 1, 0.02, 0.01)
    assert no_worse(50, 60, 5_000, 0.02, 0.01) and not no_worse(50, 150, 5_000, 0.02, 0.01)
