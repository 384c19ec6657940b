"""Jobs in worker processes of this machine: results, errors, lost workers, what is left behind."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from rung.core.engine import Place, Resources
from rung.core.errors import RungError, WorkerLost
from rung.engines.local import LocalEngine


@pytest.fixture
def jobs(job_models):
    import engine_jobs

    return engine_jobs


@pytest.fixture
def engine(tmp_path):
    made = LocalEngine()
    with made.running(Place(tmp_path / "engine", 2, 1)):
        yield made
    assert not (tmp_path / "engine").exists()


def test_results_come_in_order_from_other_processes(engine, jobs):
    assert list(engine.map(jobs.square, range(20), Resources())) == [n * n for n in range(20)]
    told = list(engine.map(jobs.threads_and_process, range(4), Resources()))
    assert {threads for threads, _ in told} == {"1"} and os.getpid() not in {process for _, process in told}
    again = {process for _, process in engine.map(jobs.threads_and_process, range(4), Resources())}
    assert again <= {process for _, process in told} and engine.is_parallel, "processes stay up"


def test_one_worker_is_this_process(tmp_path, jobs):
    made = LocalEngine()
    with made.running(Place(tmp_path / "engine")):
        results = made.map(jobs.square, iter([3]), Resources())
        assert list(results) == [9] and not made.is_parallel
    assert not (tmp_path / "engine").exists()


def test_an_error_comes_back_with_its_traceback_and_the_others_end(engine, jobs):
    with pytest.raises(ValueError, match="7 is refused") as caught:
        list(engine.map(jobs.refuse, [7, 8], Resources()))
    assert "engine_jobs.py" in str(caught.value.__cause__)
    with pytest.raises(RuntimeError, match="ValueError"):
        list(engine.map(jobs.refuse_in_words_that_do_not_travel, [1], Resources()))
    assert list(engine.map(jobs.square, [2], Resources())) == [4]


def test_a_lost_worker_is_replaced_and_its_job_begun_again(engine, jobs, tmp_path):
    markers = [str(tmp_path / f"marker-{n}") for n in range(3)]
    assert list(engine.map(jobs.die_unless_begun_before, markers, Resources())) == ["done"] * 3


def test_a_job_that_always_loses_its_worker_says_which_and_how_much(engine, jobs):
    with pytest.raises(WorkerLost) as caught:
        list(engine.map(jobs.hold_memory_and_die, [200], Resources(memory_mb=50, of="boosted_trees")))
    error = caught.value
    assert error.where == "boosted_trees" and "lost 3 times: it was killed (SIGKILL)" in error.problem
    assert "50 MB were planned" in error.problem and "budget.workers" in error.fix
    if sys.platform == "linux":
        held = float(error.problem.partition("it held ")[2].partition(" MB")[0])
        assert 200 <= held < 400
    with pytest.raises(RungError, match="memory ran out in a worker: Unable to allocate 800 GiB") as caught:
        list(engine.map(jobs.run_out_of_memory, [1], Resources(of="tfidf_linear")))
    assert caught.value.where == "tfidf_linear"


def test_jobs_that_nobody_waits_for_are_ended(engine, jobs, tmp_path):
    slow = engine.map(
        jobs.wait_and_note, [(tmp_path, 0, 0.0), *((tmp_path, n, 30.0) for n in (1, 2, 3))], Resources()
    )
    assert next(slow) == 0
    begun = time.monotonic()
    slow.close()
    assert list(engine.map(jobs.square, [5], Resources())) == [25]
    assert time.monotonic() - begun < 20 and not (tmp_path / "1").exists()


def test_jobs_in_the_background_wait_for_the_others(tmp_path, jobs):
    made, stop = LocalEngine(), threading.Event()
    with made.running(Place(tmp_path / "engine", 2, 1)):
        behind = made.map(
            jobs.wait_and_note, [(tmp_path, f"b{n}", 0.3) for n in range(6)], Resources(stop=stop)
        )
        assert next(behind) == "b0"
        assert list(made.map(jobs.square, [1, 2, 3], Resources())) == [1, 4, 9]
        assert not (tmp_path / "b5").exists(), "those that came later went first"
        assert [next(behind), next(behind)] == ["b1", "b2"]
        stop.set()
        assert len(list(behind)) < 3, "what nobody wants any more ends"


def test_memory_that_is_planned_bounds_how_many_run(tmp_path, jobs, monkeypatch):
    monkeypatch.setattr("rung.engines.local.free_memory_mb", lambda: 1_000.0)
    made = LocalEngine()
    with made.running(Place(tmp_path / "engine", 4, 1)):
        told = list(made.map(jobs.threads_and_process, range(8), Resources(memory_mb=700)))
        assert len(told) == 8
        assert [made._at_a_time(Resources(memory_mb=mb)) for mb in (0, 100, 300, 5_000)] == [4, 4, 2, 1]


def test_workers_end_with_a_parent_that_is_killed(tmp_path, jobs):
    """A script without a main guard: workers do not run it again."""
    script = tmp_path / "script.py"
    script.write_text(
        "import os, sys, time, engine_jobs\n"
        "from pathlib import Path\nfrom rung.core.engine import Place, Resources\n"
        "from rung.engines.local import LocalEngine\n"
        "made = LocalEngine()\n"
        "with made.running(Place(Path('engine'), 2, 1)):\n"
        "    for _, process in made.map(engine_jobs.threads_and_process, range(2), Resources()):\n"
        "        print(process, flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False)
    processes = [int(line) for line in done.stdout.split()]
    assert done.returncode == -9 and len(processes) == 2, done.stderr
    deadline = time.monotonic() + 30
    while any(_lives(process) for process in processes) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(_lives(process) for process in processes)


def _lives(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    if sys.platform == "linux":
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return True
