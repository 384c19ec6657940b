"""A wheel answers as the server does, in a Python where rung cannot be imported."""

import json
import shutil
import subprocess
import sys
import zipfile

import pytest

from rung.core.errors import RungError
from rung.exporting import wheel
from rung.exporting.source import Source
from rung.exporting.vendored import modules_for
from rung.workflows.export import export
from support import run_cli

ALONE = """
import sys
class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"rung", "sklearn", "scipy", "pyarrow", "yaml"}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Refused())
sys.path.insert(0, sys.argv[1])
import desk
print(desk.predict([sys.argv[2]])[0]["label"], desk.info()["labels"])
"""


@pytest.fixture(scope="module")
def exported(built, tmp_path_factory):
    return export(built.folder, "wheel", out=tmp_path_factory.mktemp("wheel") / "out")


def test_every_validation_row_is_answered_as_by_the_server(exported, built):
    report = exported.report
    (check,) = report["checks"]
    assert exported.ok and report["rows"]["origin"] == "validation"
    assert check["equal"] == check["rows"] == report["rows"]["answered"] >= 300
    assert check["largest_difference"] == 0.0
    # Clopper and Pearson, all of n equal: the bound is the n-th root of the error.
    assert check["lower_bound"] == pytest.approx(0.05 ** (1 / check["rows"]), abs=1e-5)
    assert json.loads((exported.folder / "export.json").read_text(encoding="utf-8")) == report


def test_it_runs_without_rung_and_without_training_packages(exported, news_rows, tmp_path):
    (path,) = exported.folder.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path)
        names = archive.namelist()
    assert not any("training" in name or name.startswith("rung/") for name in names)
    assert next(name for name in names if name.endswith("RECORD"))
    text, label = news_rows[0]
    command = [sys.executable, "-I", "-c", ALONE, str(tmp_path), text]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == label


def test_the_same_bundle_gives_the_same_wheel(exported, built, tmp_path):
    wheel.write(Source.open(built.bundle), tmp_path)
    (one,), (two,) = exported.folder.glob("*.whl"), tmp_path.glob("*.whl")
    assert one.read_bytes() == two.read_bytes()


def test_requirements_are_what_answering_imports(exported):
    needed = exported.report["notes"][0]["requires"]
    assert "numpy" in needed and "safetensors" in needed
    assert "scikit-learn" not in needed and "onnxruntime" not in needed and "fastapi" not in needed


def test_nothing_that_answers_imports_training_code():
    names = modules_for(["rung.serving.predictor", "rung.models.stack", "rung.models.frozen_encoder"])
    assert "rung.modalities.tables.model" in names and "rung.modalities.text.onnx_encoder" in names
    assert not [name for name in names if name.split(".")[1] in {"training", "building", "data", "cli"}]


def test_a_bundle_by_itself_says_how_little_its_examples_prove(built, tmp_path):
    shutil.copytree(built.bundle, tmp_path / "alone")
    done = run_cli("export", tmp_path / "alone", "--to", "wheel", "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 0 and report["rows"]["origin"] == "packed"
    assert report["checks"][0]["lower_bound"] < 0.8
    page = (tmp_path / "export-wheel" / "export.md").read_text(encoding="utf-8")
    assert "far too few" in page


def test_rows_of_a_file(built, news_csv, tmp_path):
    done = run_cli(
        "export", built.bundle, "--to", "wheel", "--rows", news_csv, "--out", tmp_path / "out", "--lang", "zh"
    )
    assert done.returncode == 0, done.stderr
    assert "已导出为 wheel" in done.stdout and "600 行中 600 行与服务器一致" in done.stdout


def test_a_disagreeing_export_is_not_written(built, tmp_path, monkeypatch):
    from rung.exporting.agreement import TargetAnswer
    from rung.workflows import export as workflow

    def wrong(source, folder, rows):
        from rung.exporting.agreement import compare
        from rung.exporting.target import Check

        found = [TargetAnswer("no label") for _ in rows.inputs]
        return [Check("here", "1", compare(rows.expected, found))]

    target = workflow.TARGETS["wheel"]
    monkeypatch.setitem(workflow.TARGETS, "wheel", type(target)("wheel", target.write, wrong))
    done = run_cli("export", built.folder, "--to", "wheel", "--out", tmp_path / "out")
    assert done.returncode == 3 and "Not exported" in done.stdout
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["export.json", "export.md"]


def test_a_folder_with_other_things_is_left_alone(built, tmp_path):
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(RungError, match="holds something else"):
        export(built.folder, "wheel", out=tmp_path)
    assert (tmp_path / "mine.txt").is_file()
