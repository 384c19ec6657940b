"""Fits and builds in a forked process end, although the parent has run threads of OpenMP before."""

import csv
import multiprocessing
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import rung
from rung.core import registry
from rung.core.forked import usable_threads
from rung.core.model import FitContext
from rung.core.params import make_params
from rung.core.types import Examples, Field, Schema

SECONDS = 60


# Small networks: this is about threads.
PARAMS = {"mlp_table": {"epochs": 2, "members": 2, "width": 16}}
SPEC = """name: {name}
task: tabular_classification
data: {{path: fork.csv, target: y}}
bar: {{metric: accuracy, at_least: 0.3}}
budget: {{effort: 0, threads: 2}}
ladder: [boosted_trees]
accept: ["leak_column:active"]
"""


def fit(name):
    """Fit a family on the rows that once hung."""
    rows = list(csv.DictReader((Path(__file__).parent / "fork.csv").open()))
    labels = tuple(sorted({row["y"] for row in rows}))
    inputs = (Field("active", "category", "input", ("false", "true")), Field("age", "number", "input"))
    schema = Schema(inputs, (Field("y", "category", "output", labels),))
    columns = {"active": [row["active"] for row in rows], "age": [float(row["age"]) for row in rows]}
    n = len(rows)
    units = [f"{i:016x}" for i in range(n)]
    examples = Examples(schema, columns, [row["y"] for row in rows], units, range(n), [0.0] * n)
    family = registry.model(name)
    family.fit(examples, make_params(family.Params, PARAMS.get(name, {})), FitContext(0, 2, 0))


def build(name):
    """Build a product of these rows in the working directory, as the parent did before."""
    shutil.copyfile(Path(__file__).parent / "fork.csv", "fork.csv")
    Path(f"{name}.yaml").write_text(SPEC.format(name=name))
    assert rung.build(f"{name}.yaml", run=f"run-{name}").bundle is not None


def start_threads():
    """Start LightGBM's threads, which a fit of few rows does not."""
    import lightgbm as lgb

    values = np.random.default_rng(0).random((2_000, 5))
    lgb.Dataset(values, np.arange(2_000) % 2, params={"num_threads": 2, "verbosity": -1}).construct()


def main(name) -> int:
    """Fit a family here and in a forked child, or build; return the child's exit code, 1 if it hangs."""
    start_threads()
    if name == "build":
        build("parent")
        child = multiprocessing.get_context("fork").Process(target=build, args=("child",))
    else:
        fit(name)
        child = multiprocessing.get_context("fork").Process(target=fit, args=(name,))
    child.start()
    child.join(SECONDS)
    if child.is_alive():
        child.kill()
        return 1
    return child.exitcode or 0


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux")
@pytest.mark.parametrize(
    "name", ["build", "boosted_trees", "linear_table", "explainable_boosting", "stack", "mlp_table"]
)
def test_what_a_forked_child_fits_ends(name, tmp_path):
    if name != "build" and registry.model(name).missing_packages():
        pytest.skip("an extra is not installed")
    # One thread for all hides it: the parent must have started some.
    threads = {"OMP_NUM_THREADS": "2"}
    command = [sys.executable, __file__, name]
    found = subprocess.run(command, env=os.environ | threads, timeout=4 * SECONDS, cwd=tmp_path)
    assert found.returncode == 0


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux")
def test_a_forked_process_uses_one_thread():
    def report(queue):
        queue.put(usable_threads(4))

    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=report, args=(queue,))
    child.start()
    assert (queue.get(timeout=SECONDS), usable_threads(4), usable_threads(0)) == (1, 4, 1)
    child.join()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
