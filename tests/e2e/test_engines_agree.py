"""A product built here, in worker processes and on Ray: one report (bar times), one bundle, byte for byte."""

import hashlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_image_product import write_images

import caches
import rung
from rung.core.engine import Place, Resources
from rung.core.errors import RungError, WorkerLost
from rung.engines import ray_cluster
from rung.engines.ray import RayEngine

pytestmark = pytest.mark.slow
PLUGIN = Path(__file__).parents[1] / "building" / "plugin"
TEXT = """name: news
task: text_classification
data: {{path: {path}, input: text, target: label}}
bar: {{metric: accuracy, at_least: 0.6}}
budget: {{effort: 0, threads: 1}}
ladder: [majority, tfidf_linear]
"""
TABLE = """name: credit
task: tabular_classification
data: {{path: {path}, target: creditability}}
bar: {{metric: roc_auc, at_least: 0.6}}
budget: {{effort: 0, threads: 1}}
ladder: [majority, linear_table, boosted_trees]
"""
IMAGE = """name: garments
task: image_classification
data: {{path: {path}}}
bar: {{metric: accuracy, at_least: 0.6}}
budget: {{effort: 0, threads: 1}}
ladder: [majority, pixels_linear]
"""
# What is measured differs from one build to the next, on one engine too.
MEASURED = {
    "latency_ms", "throughput_per_s", "peak_memory_mb", "usd_per_1k", "price", "wh_per_1k", "measured",
    "fit_seconds", "planned_usd_per_1k",
}  # fmt: skip
MEASURED_FILES = {"manifest.json", "README.md", "card.md"}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Ray of two processors, started as rung starts it."""
    pytest.importorskip("ray")
    home = tmp_path_factory.mktemp("ray") / "engine"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(PLUGIN))
        engine = RayEngine()
        with engine.running(Place(home, 2, 1)):
            assert (home / "token").stat().st_mode & 0o077 == 0 and (home / "session_latest").exists()
            yield engine
    assert not home.exists()
    assert not Path("~/.ray/auth_token").expanduser().exists(), "the token stays in the run"


@pytest.fixture(params=["text", "table", "image"])
def build(request, tmp_path):
    """Build the product in a folder of its own: looks at one set of rows share an error budget, so they would differ."""
    if request.param == "text":
        spec = TEXT.format(path=request.getfixturevalue("news_csv"))
    elif request.param == "table":
        pytest.importorskip("lightgbm")
        spec = TABLE.format(path=request.getfixturevalue("example_data")("credit") / "credit.csv")
    else:
        write_images(tmp_path / "data", *caches.garments(1500))
        spec = IMAGE.format(path=tmp_path / "data")

    def built(name, **how):
        (tmp_path / name).mkdir()
        (tmp_path / name / "product.yaml").write_text(spec)
        return rung.build(tmp_path / name / "product.yaml", all_rungs=True, **how)

    return built


def shown(done):
    """Return what a report says, without what is measured."""
    trials = [{key: t[key] for key in t if key not in MEASURED} for t in done.report["trials"]]
    return json.loads(json.dumps([done.report["winner"], done.report["certificate"], trials], default=str))


def hashes(bundle):
    return {
        str(path.relative_to(bundle)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(bundle.rglob("*"))
        if path.is_file() and path.name not in MEASURED_FILES
    }


def test_engines_agree(build, cluster):
    one, two, three = build("one"), build("two", workers=2), build("three", engine="ray")
    assert shown(one) == shown(two) == shown(three)
    assert hashes(one.bundle) == hashes(two.bundle) == hashes(three.bundle) and len(hashes(one.bundle)) > 3
    assert len({rung.load(done.bundle).manifest.version for done in (one, two, three)}) == 1


def test_ray_begins_lost_jobs_again_and_names_what_cannot_be_done(cluster, tmp_path):
    import engine_jobs as jobs

    assert list(cluster.map(jobs.square, range(20), Resources())) == [n * n for n in range(20)]
    with pytest.raises(ValueError, match="7 is refused"):
        list(cluster.map(jobs.refuse, [7, 8], Resources()))
    markers = [str(tmp_path / f"marker-{n}") for n in range(3)]
    assert list(cluster.map(jobs.die_unless_begun_before, markers, Resources())) == ["done"] * 3
    with pytest.raises(WorkerLost, match="lost 3 times") as caught:
        list(cluster.map(jobs.hold_memory_and_die, [20], Resources(of="boosted_trees", memory_mb=10**7)))
    assert caught.value.where == "boosted_trees"
    with pytest.raises(RungError, match="memory ran out in a worker: Unable") as caught:
        list(cluster.map(jobs.run_out_of_memory, [1], Resources(of="tfidf_linear")))
    assert caught.value.where == "tfidf_linear"
    with pytest.raises(RungError, match="no machine of the cluster has a GPU"):
        list(cluster.map(jobs.square, [1], Resources(gpus=1)))


def test_machines_that_differ_are_named(cluster, tmp_path, monkeypatch):
    ray_cluster.require_same(Place(tmp_path))
    real = ray_cluster._versions()
    monkeypatch.setattr(ray_cluster, "_versions", lambda: {**real, "rung": "9.9"})
    with pytest.raises(RungError, match=r"has rung .*; here it is 9.9") as caught:
        ray_cluster.require_same(Place(tmp_path))
    assert "Install the same versions everywhere" in caught.value.fix
    monkeypatch.undo()
    answer = {"versions": real, "sees": False}
    with pytest.raises(RungError, match="the machine b7 does not see this folder") as caught:
        ray_cluster._require_answer("b7", answer, real, tmp_path)
    assert caught.value.where == str(tmp_path) and "--run" in caught.value.fix


def test_a_killed_driver_takes_its_cluster_along_and_resumes(tmp_path, news_csv):
    pytest.importorskip("ray")
    (tmp_path / "product.yaml").write_text(TEXT.format(path=news_csv))
    command = [sys.executable, "-m", "rung.cli", "build", "product.yaml", "--run", "run", "--engine", "ray"]
    build = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    fits = tmp_path / "run" / "scratch"
    deadline = time.monotonic() + 240
    while not any(fits.rglob("fitted.json")) and build.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    build.send_signal(signal.SIGKILL)
    build.wait()
    home = tmp_path / "run" / "engine"
    deadline = time.monotonic() + 30
    while (_processes_of(tmp_path) or home.exists()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _processes_of(tmp_path) and not home.exists()
    again = rung.build(tmp_path / "product.yaml", run=tmp_path / "run", workers=2)
    one = rung.build(tmp_path / "product.yaml", run=tmp_path / "local")
    assert hashes(one.bundle) == hashes(again.bundle)


def _processes_of(folder):
    """Return the processes whose working folder, command line or environment names the folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            told = str((process / "cwd").readlink()).encode(), (process / "cmdline").read_bytes()
            if any(bytes(folder) in text for text in (*told, (process / "environ").read_bytes())):
                found.append(process)
        except OSError:
            continue
    return found
