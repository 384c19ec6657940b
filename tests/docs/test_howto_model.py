"""bring-your-own-model.md is followed literally: scikit-learn always, torch and Keras (in an environment of its own) when slow tests run.

bring-your-own-model.zh.md shows the same blocks.
"""

import csv
import json
import os
import re
import shlex
import shutil
import subprocess
import sys

import pyarrow.parquet as pq
import pytest
import yaml

import caches
import rung
from rung.runtime.weights.store import cache_folder
from support import ROOT, run_cli, write_csv

PAGE = (ROOT / "docs" / "howto" / "bring-your-own-model.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"""```(?:python|yaml) title="(\S+)"\n(.*?)```""", PAGE, re.S))
COMMANDS = re.findall(r"```bash\n(.*?)```", PAGE, re.S)
# An environment of its own sees no package of this one.
ALONE = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
REFUSED = 3  # no rung clears the bar


@pytest.fixture
def prepared_run(tmp_path, news_csv):
    """A folder in which step 1 of the page was followed."""
    (tmp_path / "news.csv").write_bytes(news_csv.read_bytes())
    return step_one(tmp_path)


@pytest.fixture
def whole_run(tmp_path, news_folder):
    """The same with all 2,225 articles: networks from scratch learn too little from a few hundred."""
    rows = [
        (" ".join(path.read_bytes().decode("utf-8", "replace").split()), path.parent.name)
        for path in sorted(news_folder.glob("*/*.txt"))
    ]
    write_csv(tmp_path / "news.csv", ["text", "label"], rows)
    return step_one(tmp_path)


def step_one(folder, command=COMMANDS[0]):
    for name, code in FILES.items():
        (folder / name).write_text(code, encoding="utf-8")
    assert follow(command, folder).returncode == REFUSED
    return folder


def follow(command, folder):
    return run_cli(*shlex.split(command)[1:], cwd=folder)


def script(python, name, folder):
    env = dict(os.environ) if python == sys.executable else ALONE
    done = subprocess.run(
        [str(python), name], cwd=folder, capture_output=True, text=True, check=False, timeout=600, env=env
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def build_with(ladder, folder, product="product.yaml", command=COMMANDS[1]):
    """Put a ladder of the page into a product of it, build, and return the report and the bundle."""
    spec = yaml.safe_load(FILES[product]) | yaml.safe_load(FILES[ladder])
    (folder / product).write_text(yaml.safe_dump(spec), encoding="utf-8")
    done = follow(command, folder)
    assert done.returncode == 0, done.stdout + done.stderr
    run = folder / "runs" / f"{spec['name']}-002"
    return json.loads((run / "report.json").read_text(encoding="utf-8")), rung.load(run / "bundle")


def rows_of(folder, run, table):
    return pq.read_table(folder / "runs" / run / "data" / f"{table}.parquet")["unit"].to_pylist()


def check_build(report, bundle, folder, name="news"):
    assert report["winner"] == "bring_your_own" and report["cleared"]
    assert "neither trained nor selected" in report["certificate"]["claim"]
    assert bundle.selftest() == []
    for table in ("train", "certification"):
        assert rows_of(folder, f"{name}-001", table) == rows_of(folder, f"{name}-002", table)


def check(report, bundle, folder):
    check_build(report, bundle, folder)
    text = "The striker scored twice in the cup final and the coach praised the team"
    assert bundle.predict([text])[0].value == "sports" and bundle.explain([text])[0]


def test_scikit_learn(prepared_run):
    said = script(sys.executable, "train_sklearn.py", prepared_run)
    assert float(said.rsplit(" ", 1)[1]) < 1e-4
    check(*build_with("ladder.yaml", prepared_run), prepared_run)


def test_both_pages_show_the_same_blocks():
    chinese = (ROOT / "docs" / "howto" / "bring-your-own-model.zh.md").read_text(encoding="utf-8")
    fences = re.compile(r"```.*?```", re.S)
    assert fences.findall(chinese) == fences.findall(PAGE)


@pytest.mark.slow
def test_torch(whole_run):
    pytest.importorskip("torch")
    script(sys.executable, "train_torch.py", whole_run)
    check(*build_with("ladder-torch.yaml", whole_run), whole_run)


@pytest.fixture
def keras_python():
    """The Python of an environment made as the page says, kept in the cache."""
    made, install, _ = (shlex.split(line) for line in COMMANDS[2].splitlines())
    folder = cache_folder() / "tests" / "venv-keras"
    python = folder / "bin" / "python"
    marker = folder / "installed.txt"
    wanted = " ".join(install[2:]).replace(
        "tensorflow-cpu", "tensorflow" if sys.platform == "darwin" else "tensorflow-cpu"
    )
    if not marker.is_file() or marker.read_text() != wanted:
        subprocess.run([sys.executable, *made[1:3], str(folder)], check=True, env=ALONE)
        subprocess.run(
            [str(python), "-m", "pip", "install", "-q", *wanted.split()], check=True, timeout=1800, env=ALONE
        )
        marker.write_text(wanted)
    return python


@pytest.mark.slow
def test_keras(whole_run, keras_python):
    script(keras_python, "train_keras.py", whole_run)
    check(*build_with("ladder-keras.yaml", whole_run), whole_run)


@pytest.mark.slow
def test_keras_on_images(tmp_path, keras_python):
    digits = caches.example("digits")
    (tmp_path / "digits").symlink_to(digits, target_is_directory=True)
    step_one(tmp_path, COMMANDS[3])
    script(keras_python, "train_digits.py", tmp_path)
    report, bundle = build_with("ladder-digits.yaml", tmp_path, "digits.yaml", COMMANDS[3])
    check_build(report, bundle, tmp_path, "digits")
    answers = bundle.predict(sorted(digits.glob("7/*.png"))[:20])
    assert [answer.value for answer in answers].count("7") >= 18


@pytest.mark.slow
def test_scikit_learn_on_a_table(tmp_path):
    pytest.importorskip("pandas")
    shutil.copy(caches.example("churn") / "churn.csv", tmp_path / "churn.csv")
    step_one(tmp_path, COMMANDS[4])
    script(sys.executable, "train_table.py", tmp_path)
    report, bundle = build_with("ladder-churn.yaml", tmp_path, "churn.yaml", COMMANDS[4])
    check_build(report, bundle, tmp_path, "churn")
    with (tmp_path / "churn.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))[:200]
    answers = bundle.predict(rows)
    right = [answer.value == row["churn"] for answer, row in zip(answers, rows, strict=True)]
    assert sum(right) > 180 and bundle.explain(rows[:1])[0]
