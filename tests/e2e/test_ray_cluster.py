"""A Ray cluster of several node processes on the loopback interface: by its client port, and what its machines must share."""

import importlib
import shutil
import subprocess
import sys

import pytest

import rung
from support import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="nodes are ended by /proc"),
]
SPEC = """name: news
task: text_classification
data: {{path: {path}, input: text, target: label}}
bar: {{metric: accuracy, at_least: 0.6}}
budget: {{effort: 0, threads: 1}}
ladder: [majority, tfidf_linear]
"""
PLUGIN = ROOT / "tests" / "building" / "plugin"
OUT_OF_MEMORY = """
import sys, engine_jobs as jobs
from pathlib import Path
from rung.core.engine import Place, Resources
from rung.engines.ray import RayEngine
engine, home = RayEngine(sys.argv[1]), Path(sys.argv[2])
with engine.running(Place(home / "engine", shared=home)):
    for job, given, wanted in (("reach_its_limit", 300, 0), ("hold_memory_and_die", 20, 900)):
        try:
            list(engine.map(getattr(jobs, job), [given], Resources(of="boosted_trees", memory_mb=wanted)))
        except Exception as error:
            print(type(error).__name__, error.where, str(error).replace(chr(10), " "))
"""


@pytest.fixture(scope="module")
def cluster():
    """A head and one more node, reached by ray://."""
    pytest.importorskip("ray")
    pytest.importorskip("grpc")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        patch.syspath_prepend(str(PLUGIN))
        with importlib.import_module("loopback_cluster").LoopbackCluster(1, client=True) as made:
            yield made


@pytest.fixture
def further(cluster):
    """Start a node that is not like the others, and end it after."""
    started = []

    def add(**how):
        started.append(cluster.add_node(**how))

    yield add
    for name in started:
        cluster.kill_node(name)


@pytest.fixture
def built_on(cluster, news_csv, tmp_path):
    """Build on an engine in a process of its own, which reads the cluster's token when it begins; return what it said."""

    def build(engine):
        (tmp_path / "product.yaml").write_text(SPEC.format(path=news_csv))
        command = [
            sys.executable,
            "-m",
            "rung.cli",
            "build",
            "product.yaml",
            "--run",
            "run",
            "--engine",
            engine,
        ]
        environment = {k: v for k, v in cluster.environment().items() if k != "RAY_ADDRESS"}
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    return build


def test_a_build_by_the_client_port_gives_the_same_bundle(cluster, built_on, news_csv, tmp_path):
    done = built_on(cluster.client)
    assert done.returncode == 0, done.stderr
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / "product.yaml").write_text(SPEC.format(path=news_csv))
    local = rung.build(tmp_path / "local" / "product.yaml")
    there = rung.load(tmp_path / "run" / "bundle").manifest
    assert there.version == rung.load(local.bundle).manifest.version


def test_no_cluster_at_the_address(built_on):
    done = built_on("ray://127.0.0.1:9")
    assert done.returncode == 2 and "ray://127.0.0.1:9: no Ray cluster answers" in done.stderr
    assert "ray start --head" in done.stderr and "RAY_AUTH_TOKEN_PATH" in done.stderr


def test_a_machine_with_another_version_is_named(cluster, further, built_on, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "sitecustomize.py").write_text(
        "import importlib.metadata as told\nreal = told.version\n"
        "told.version = lambda name: '9.9' if name == 'rung' else real(name)\n"
    )
    further(path=(tmp_path / "other",))
    done = built_on(cluster.client)
    assert done.returncode == 2 and "has rung 9.9; here it is" in done.stderr, done.stderr
    assert "same versions everywhere" in done.stderr


def test_a_machine_whose_clock_differs_is_named(cluster, further, built_on, tmp_path):
    (tmp_path / "late").mkdir()
    (tmp_path / "late" / "sitecustomize.py").write_text(
        "import sys, time\nreal = time.time\nif 'default_worker.py' in ' '.join(sys.orig_argv):\n"
        "    time.time = lambda: real() - 3600\n"
    )
    further(path=(tmp_path / "late",))
    done = built_on(cluster.client)
    assert done.returncode == 2 and "s behind this one" in done.stderr and "NTP" in done.stderr, done.stderr


def test_a_machine_that_does_not_see_the_run_is_named(cluster, further, built_on, tmp_path):
    (tmp_path / "run").mkdir()
    hide = f"mount -t tmpfs none {tmp_path / 'run'}"
    alone = ["unshare", "-m", "sh", "-c"]
    if shutil.which("unshare") is None or subprocess.run([*alone, hide], check=False).returncode:
        pytest.skip("folders cannot be hidden from a process here")
    further(before=(*alone, f'{hide} && exec "$@"', "sh"))
    done = built_on(cluster.client)
    assert done.returncode == 2 and "does not see this folder" in done.stderr, done.stderr
    assert "--run" in done.stderr


def test_a_worker_out_of_memory_is_named(cluster, tmp_path):
    """Held to a limit of its own, and killed as systems do: the machine's own limit is nobody's to reach in a test."""
    command = [sys.executable, "-c", OUT_OF_MEMORY, cluster.client, str(tmp_path)]
    environment = {k: v for k, v in cluster.environment().items() if k != "RAY_ADDRESS"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    limited, killed = done.stdout.splitlines()
    assert limited.startswith("RungError boosted_trees") and "memory ran out in a worker" in limited
    assert killed.startswith("WorkerLost boosted_trees") and "lost 3 times" in killed and "900" in killed
