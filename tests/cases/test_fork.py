"""A fit of boosted trees in a forked process ends, although the parent has run threads of OpenMP before."""

import csv
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rung.core import registry
from rung.core.model import FitContext
from rung.core.params import make_params
from rung.core.types import Examples, Field, Schema

SECONDS = 60


def fit():
    """Fit boosted trees on the rows that once hung."""
    rows = list(csv.DictReader((Path(__file__).parent / "fork.csv").open()))
    labels = tuple(sorted({row["y"] for row in rows}))
    inputs = (Field("active", "category", "input", ("false", "true")), Field("age", "number", "input"))
    schema = Schema(inputs, (Field("y", "category", "output", labels),))
    columns = {"active": [row["active"] for row in rows], "age": [float(row["age"]) for row in rows]}
    n = len(rows)
    units = [f"{i:016x}" for i in range(n)]
    examples = Examples(schema, columns, [row["y"] for row in rows], units, range(n), [0.0] * n)
    family = registry.model("boosted_trees")
    family.fit(examples, make_params(family.Params, {}), FitContext(0, 2, 0))


def main() -> int:
    """Start LightGBM's threads, then fit in a forked child; return its exit code, 1 if it hangs."""
    import lightgbm as lgb

    values = np.random.default_rng(0).random((2_000, 5))
    lgb.Dataset(values, np.arange(2_000) % 2, params={"num_threads": 2, "verbosity": -1}).construct()
    child = multiprocessing.get_context("fork").Process(target=fit)
    child.start()
    child.join(SECONDS)
    if child.is_alive():
        child.kill()
        return 1
    return child.exitcode or 0


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux")
def test_a_fit_in_a_forked_child_ends():
    # One thread for all hides it: the parent must have started some.
    threads = {"OMP_NUM_THREADS": "2"}
    found = subprocess.run([sys.executable, __file__], env=os.environ | threads, timeout=4 * SECONDS)
    assert found.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
