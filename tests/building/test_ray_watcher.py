"""What a killed build leaves of its own Ray: processes that carry its folder end, and its files go."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from rung.core.child_process import child_environment
from rung.engines import ray_watcher

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="environments of processes are read from /proc"
)
# A build that starts one process below its folder, says so, and waits to be killed.
BUILD = """
import os, subprocess, sys, time
from pathlib import Path
from rung.engines.ray_watcher import HOME, watched
home, link, end = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
with watched(home, link):
    agent = subprocess.Popen(["sleep", "300"], env={**os.environ, HOME: str(home)}, start_new_session=True)
    print(agent.pid, flush=True)
    time.sleep(0 if end == "well" else 300)
"""


@pytest.fixture
def build(tmp_path):
    """Begin such a build and return it with its agent's process number."""
    home = tmp_path / "engine"
    home.mkdir()
    (tmp_path / "short").mkdir()
    (tmp_path / "short" / "ray").symlink_to(home)

    def begun(end):
        command = [sys.executable, "-c", BUILD, str(home), str(tmp_path / "short" / "ray"), end]
        made = subprocess.Popen(command, stdout=subprocess.PIPE, env=child_environment())
        started.append(made)
        return made, int(made.stdout.readline())

    started = []
    yield begun
    ray_watcher.end_leftovers(home)
    for made in started:
        made.kill()
        made.communicate()


def lives(process):
    try:
        return "sleep" in (Path("/proc") / str(process) / "cmdline").read_text()
    except OSError:
        return False


def until(condition):
    deadline = time.monotonic() + 60
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def test_a_killed_build_leaves_nothing(build, tmp_path):
    made, agent = build("killed")
    made.kill()
    made.wait()
    assert until(lambda: not lives(agent) and not (tmp_path / "engine").exists())
    assert until(lambda: not (tmp_path / "short").exists())


def test_what_a_build_started_is_its_own_to_end(build, tmp_path):
    made, agent = build("well")
    assert made.wait(timeout=60) == 0
    assert lives(agent) and (tmp_path / "engine").exists()
    assert ray_watcher.end_leftovers(tmp_path / "elsewhere") == 0 and lives(agent)
    assert ray_watcher.end_leftovers(tmp_path / "engine") == 1
    assert until(lambda: not lives(agent))
