"""Fixtures: weights and real data, fetched once a machine, and one small build shared by the tests that only read it."""

import functools
import json
import os
from pathlib import Path

import pytest

import caches
from preparing import prepare_in
from support import write_csv, write_spec

os.environ.setdefault("OMP_NUM_THREADS", "1")
# A master key of whoever runs the tests is none of theirs.
os.environ["RUNG_MASTER_KEY_FILE"] = os.devnull + ".none"

WEIGHTS = frozenset(
    {
        "wordllama",
        "minilm",
        "e5_small",
        "bge_small",
        "mobilenet_v2",
        "efficientnet_lite0",
        "smollm2",
        "centernet",
        "ppocr_v4",
        "ppocr_v6",
    }
)


def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        config.rung_run = caches.begin_run()


def pytest_unconfigure(config):
    if hasattr(config, "rung_run"):
        caches.end_run(config.rung_run)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Let the test, and the fixtures made for it, see the weights it asks for and no others."""
    os.environ["RUNG_CACHE"] = str(caches.own_cache(WEIGHTS & set(item.fixturenames)))


@pytest.fixture(scope="session")
def wordllama() -> Path:
    """The folder of static word vectors, English. Asking for a fixture of weights makes them known to the test."""
    return caches.weights("wordllama")


@pytest.fixture(scope="session")
def minilm() -> str:
    """The name of a sentence encoder, English."""
    return caches.weights("minilm") and "minilm"


@pytest.fixture(scope="session")
def browser_runtime() -> tuple[Path, Path]:
    """The folders of ONNX Runtime for WebAssembly and of tokenizers in JavaScript."""
    return caches.weights("onnxruntime_web"), caches.weights("tokenizers_js")


@pytest.fixture(scope="session")
def e5_small() -> str:
    """The name of a sentence encoder of 100 languages."""
    return caches.weights("e5_small") and "e5_small"


@pytest.fixture(scope="session")
def smollm2() -> str:
    """The name of a small language model, English."""
    return caches.weights("smollm2") and "smollm2"


@pytest.fixture(scope="session")
def mobilenet_v2() -> str:
    """The name of an image backbone."""
    return caches.weights("mobilenet_v2") and "mobilenet_v2"


@pytest.fixture(scope="session")
def efficientnet_lite0() -> str:
    """The name of an image backbone, the more accurate one."""
    return caches.weights("efficientnet_lite0") and "efficientnet_lite0"


@pytest.fixture(scope="session")
def centernet() -> str:
    """The name of an object detector for 80 kinds of things."""
    return caches.weights("centernet") and "centernet"


@pytest.fixture(scope="session")
def ppocr_v4() -> str:
    """The name of networks that read text, the smaller ones."""
    return caches.weights("ppocr_v4") and "ppocr_v4"


@pytest.fixture(scope="session")
def ppocr_v6() -> str:
    """The name of networks that read text, the more accurate ones."""
    return caches.weights("ppocr_v6") and "ppocr_v6"


@pytest.fixture(scope="session")
def bge_small() -> str:
    """The name of a larger sentence encoder, English, in 8 bits as published."""
    return caches.weights("bge_small") and "bge_small"


@pytest.fixture(scope="session")
def example_data():
    """Return the data folder of an example by its name."""
    return caches.example


@pytest.fixture(scope="session")
def news_folder() -> Path:
    """The BBC news of `make demo`: one folder per class."""
    return caches.example("news")


@pytest.fixture(scope="session")
def news_rows(news_folder) -> list[tuple[str, str]]:
    """(text, label) of 120 articles a class, the first 500 characters of each."""
    rows = []
    for folder in sorted(p for p in news_folder.iterdir() if p.is_dir()):
        for path in sorted(folder.glob("*.txt"))[:120]:
            rows.append((" ".join(path.read_bytes().decode("utf-8", "replace").split())[:500], folder.name))
    return rows


@pytest.fixture(scope="session")
def news_csv(news_rows) -> Path:
    def write(folder):
        folder.mkdir()
        write_csv(folder / "news.csv", ["text", "label"], news_rows)

    return caches.once("news", write) / "news.csv"


@pytest.fixture(scope="session")
def built(news_csv):
    """One certified build of the small news table."""
    return _built("built", news_csv)


@pytest.fixture(scope="session")
def other(news_csv):
    """Another certified build of the same product."""
    return _built("other", news_csv, "seed: 7\nrepeats: 0\n")


def _built(name, news_csv, extra=""):
    import rung
    from rung.core.files import read_json

    def make(folder):
        folder.mkdir()
        done = rung.build(write_spec(folder, news_csv, extra=extra), run=folder / "run")
        # The processes that did not build read it from the file: nothing else may stand in what `build` returns.
        assert read_json(done.folder / "report.json") == json.loads(json.dumps(done.report))
        assert done.bundle == done.folder / "bundle"

    run = caches.once(name, make) / "run"
    return rung.Build(run, run / "bundle", read_json(run / "report.json"))


@pytest.fixture
def prepared(tmp_path):
    """`prepare_in` the test's folder: write a file and prepare it as a build would."""
    return functools.partial(prepare_in, tmp_path)


@pytest.fixture
def rows() -> list[tuple[str, str]]:
    """80 different texts of two labels."""
    return [
        (f"ticket {i} about {'ships' if i % 2 else 'trees'}", "sea" if i % 2 else "land") for i in range(80)
    ]


@pytest.fixture
def table(rows) -> str:
    """`rows` as CSV."""
    return "text,label\n" + "".join(f"{text},{label}\n" for text, label in rows)
