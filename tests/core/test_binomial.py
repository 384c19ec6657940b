"""The binomial's tail point without scipy: as scipy has it, and never above it."""

import math
import subprocess
import sys

import pytest
from scipy.special import betaincinv
from scipy.stats import binom

from rung.core.stats.binomial import success_probability

COUNTS = [2, 3, 5, 15, 16, 17, 40, 59, 100, 400, 2_000, 100_000, 1_000_000]
ALPHAS = [0.95, 0.9, 0.5, 0.25, 0.05, 0.025, 0.01, 1e-4, 1e-8, 1e-15, 1e-50]


@pytest.mark.parametrize("n", COUNTS)
def test_as_scipy_has_it_at_ordinary_and_extreme_counts(n):
    near = {1, 2, 3, n // 10, n // 3, n // 2, int(0.9 * n), int(0.95 * n), int(0.99 * n), n - 2, n - 1}
    for hits in sorted(near & set(range(1, n))):
        for alpha in ALPHAS:
            found, known = success_probability(hits, n, alpha), float(betaincinv(hits, n - hits + 1, alpha))
            assert found <= known + 1e-12, (hits, alpha)
            assert found >= known - 1e-12, (hits, alpha)


@pytest.mark.parametrize(("hits", "n"), [(2, 5), (90, 100), (380, 400), (1_980, 2_000), (3, 10_000_000)])
@pytest.mark.parametrize("alpha", [1e-200, 1e-250])
def test_the_tail_is_alpha_where_scipy_has_no_inverse(hits, n, alpha):
    found = success_probability(hits, n, alpha)
    assert binom.logsf(hits - 1, n, found) == pytest.approx(math.log(alpha), abs=1e-4)


def test_the_error_of_the_thousandth_look_still_has_a_bound():
    alpha = 0.05 * 2.0**-1000
    lower = [success_probability(hits, 400, alpha) for hits in (1, 2, 40, 380, 399)]
    assert 0.0 <= lower[0] < lower[1] < lower[2] < lower[3] < lower[4] < 1.0


def test_metrics_and_tasks_need_no_scipy():
    code = "import sys, rung.core.task, rung.core.metrics.classification, rung.core.metrics.regression as r\n"
    code += "from rung.core.stats.confidence_bounds import proportion_lower; proportion_lower(9, 10, 0.05)\n"
    code += "print([name for name in sys.modules if name.split('.')[0] in ('scipy', 'sklearn', 'pandas')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
