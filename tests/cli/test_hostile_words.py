"""Labels, names and files of others neither steer a terminal nor run in a spreadsheet; what a system refuses is said in words."""

import csv
import errno
import io
import json
import os
import shutil
import subprocess
import sys
import threading

import pytest
from rich.table import Table
from rich.text import Text

from rung.cli.terminal import VisibleStream, to_json, visible
from rung.cli.visible_console import VisibleConsole
from rung.core.csv_cells import escape_formula, unescape_formula
from rung.core.errors import RunError, SpecError
from rung.core.files import disk_full_error, whole_folder, writing
from rung.core.names import looks, problem_of_name
from rung.core.run import open_run
from rung.core.spec.product import parse_product
from rung.core.spec.yaml import read_yaml
from support import run_cli, write_csv

STEERING = "a\x1b[31mred\x1b]0;title\x07\x9b2J\x7f\u202egpj.exe"
FORMULAS = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "＝1", "+86-138"]


def test_control_characters_are_shown_not_sent():
    shown = visible(STEERING)
    assert shown == "a␛[31mred␛]0;title␇\ufffd2J␡\ufffdgpj.exe"
    assert visible("two\nlines\tand 客服 ńé") == "two\nlines\tand 客服 ńé"
    assert json.loads(to_json({STEERING: [STEERING]})) == {STEERING: [STEERING]}
    assert not set(to_json(STEERING)) & set("\x1b\x07\x9b\x7f\u202e")


def test_a_console_keeps_its_own_colours():
    file = io.StringIO()
    console = VisibleConsole(
        file=file, force_terminal=True, width=80, color_system="standard", highlight=False
    )
    table = Table("label")
    table.add_row(STEERING)
    table.add_row(Text(STEERING, style="red"))
    console.print(table)
    console.print(STEERING, style="bold", markup=False)
    text = file.getvalue()
    assert "\x1b[1m" in text and "\x1b]0" not in text and "\x9b" not in text and "\u202e" not in text
    assert text.count("␛]0;title") == 3


def test_rows_on_a_terminal_are_shown_too():
    stream = VisibleStream(file := io.StringIO())
    csv.writer(stream).writerow([STEERING, "a\nb"])
    stream.flush()
    assert "\x1b" not in file.getvalue() and '"a\nb"\n' in file.getvalue()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A bundle whose labels are formulas and terminal sequences."""
    import rung

    folder = tmp_path_factory.mktemp("hostile")
    labels = ["=1+1", "b\x1b]0;owned\x07"]
    rows = [(f"{('ships', 'trees')[i % 2]} number {i} in the sea", labels[i % 2]) for i in range(120)]
    lines = [json.dumps({"text": text, "label": label}) for text, label in rows]
    (folder / "rows.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "product.yaml").write_text(
        "name: hostile\ntask: text_classification\ndata: {path: rows.jsonl, input: text, target: label}\n"
        "bar: {metric: accuracy, at_least: 0.5}\nbudget: {effort: 0, threads: 1}\nladder: [tfidf_linear]\n"
        "accept: [leak_word]\n"
    )
    return rung.build(folder / "product.yaml", run=folder / "run").bundle


def test_predicted_files_hold_no_formulas_and_answers_no_sequences(hostile, tmp_path):
    with (tmp_path / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(
            [["=note", "text"], *[[cell, "ships in the sea"] for cell in FORMULAS], ["-5.5", "trees"]]
        )
    done = run_cli(
        "predict",
        hostile,
        "-i",
        tmp_path / "rows.csv",
        "-o",
        tmp_path / "out.csv",
        "--keep",
        "--scores",
        "--explain",
    )
    assert done.returncode == 0, done.stderr
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.reader(file))
    assert not [cell for line in lines for cell in line if cell.startswith(("=", "+", "@", "\t", "\r", "＝"))]
    assert [line[1] for line in lines] == ["'=note", *[f"'{cell}" for cell in FORMULAS], "-5.5"]
    assert {line[3] for line in lines[1:]} >= {"'=1+1"}
    printed = run_cli("predict", hostile, "--text", "trees in the sea", "--scores")
    assert printed.returncode == 0 and "\x1b" not in printed.stdout and "␛]0;owned␇" in printed.stdout
    for words in (["show", hostile.parent], ["verify", hostile]):
        done = run_cli(*words)
        assert "\x1b]" not in done.stdout + done.stderr and "\x07" not in done.stdout + done.stderr


@pytest.mark.parametrize("text", [*FORMULAS, "-1+cmd", "--5", "+", "-", "=", "-.", "1-1", "-5", "+3.25", "-1e-7", "plain", "'quoted", "'=1", ""])  # fmt: skip
def test_formulas_are_quoted_and_come_back(text):
    escaped = escape_formula(text)
    assert unescape_formula(escaped) == text or text == "'=1"
    assert not escaped.startswith(("=", "@", "\t", "\r")) and (escaped == text or escaped == f"'{text}")
    if escaped.startswith(("+", "-")):
        assert float(escaped) is not None


@pytest.mark.parametrize(
    "number, value",
    [("0x10", 16), ("010", 8), ("0b11", 3), ("1:30", 90), ("-0x1F", -31), ("1:30.5", 90.5), ("007", 7)],
)
def test_numbers_that_yaml_reads_otherwise_are_refused(number, value):
    _, _, problems = read_yaml(f"seed: {number}\nname: a\n", "product.yaml")
    (problem,) = problems
    assert (
        (problem.line, problem.key) == (1, "seed") and number in problem.problem and str(value) in problem.fix
    )
    with pytest.raises(SpecError, match="quotes"):
        parse_product(f"task: text_classification\nbar: {{metric: accuracy, at_least: 0.5}}\ndata: {{path: a.csv, input: text, target: y}}\nseed: {number}\n")  # fmt: skip


def test_usual_numbers_are_read():
    text = "a: 10\nb: -3\nc: 0.5\nd: 1e3\ne: 1.5e-3\nf: 1_000\ng: .5\nh: '0x10'\ni: 0\nj: [1, 2.0]\nk: 12abc\nl: .inf\n"
    values, _, problems = read_yaml(text, "product.yaml")
    assert problems == [] and values["f"] == 1000 and values["h"] == "0x10"


@pytest.mark.parametrize("name", ["dеsk", "Αthens", "ｄesk", "desк-2"])
def test_names_that_look_like_others_are_refused(name):
    assert problem_of_name(name)
    with pytest.raises(SpecError, match="name"):
        parse_product(f"name: {name}\ntask: text_classification\nbar: {{metric: accuracy, at_least: 0.5}}\ndata: {{path: a.csv, input: text, target: y}}\n")  # fmt: skip


@pytest.mark.parametrize("name", ["desk", "客服-desk", "отзывы-v2", "Straße", "名前", "café.1", "العملاء"])
def test_plain_names_are_taken(name):
    assert problem_of_name(name) == ""


def test_a_server_takes_no_names_that_look_alike(built, tmp_path):
    import rung
    from rung.core.errors import BundleError
    from rung.core.manifest import seal
    from rung.serving.model_registry import ModelRegistry

    other = shutil.copytree(built.bundle, tmp_path / "other")
    raw = json.loads((other / "manifest.json").read_text())
    raw["name"] = "dеsk"
    (other / "manifest.json").write_text(json.dumps({**raw, "seal": seal(raw)}))
    assert looks("dеsk") == looks("desk") != looks("task")
    with pytest.raises(BundleError, match="look alike"):
        ModelRegistry([rung.load(built.bundle), rung.load(other)])


def test_two_builds_that_begin_in_one_folder(tmp_path):
    """Each either has the run or is told; none meets half of the other's files."""
    for n in range(20):
        found, ready = [], threading.Barrier(4)

        def begin(folder=tmp_path / str(n), found=found, ready=ready):
            ready.wait()
            try:
                open_run(folder, "desk", "f", "{}")
                found.append("begun")
            except RunError as error:
                found.append(error.problem)

        threads = [threading.Thread(target=begin) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert "begun" in found and set(found) <= {"begun", "another build is writing here"}
        assert json.loads((tmp_path / str(n) / "run.json").read_text())["fingerprint"] == "f"


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "No space left on device"), OSError(errno.EDQUOT, "Disk quota exceeded"),
     shutil.Error([("a", "b", "[Errno 28] No space left on device: 'b'")]), RuntimeError("IoError: No space left on device (os error 28)"),
     OSError("Not enough free space to write 800 bytes")],
    ids=["system", "quota", "copytree", "library", "numpy"],
)  # fmt: skip
def test_a_full_disk_is_said_however_it_is_raised(tmp_path, error):
    with pytest.raises(RunError, match="disk") as caught, whole_folder(tmp_path / "bundle"):
        raise error
    assert "Free some space" in caught.value.fix and not list(tmp_path.iterdir())
    with pytest.raises(RunError), writing(tmp_path):
        try:
            raise error
        except Exception as inner:
            raise ValueError("the file cannot be written") from inner
    assert disk_full_error(ValueError("another")) is None


def test_a_full_disk_while_packing_ends_in_words(hostile, tmp_path, monkeypatch):
    import rung

    def full(*_, **__):
        raise shutil.Error([("a", "b", "[Errno 28] No space left on device: 'b'")])

    monkeypatch.setattr("rung.building.pack.shutil.copytree", full)
    with pytest.raises(RunError, match="the disk is full"):
        rung.build(hostile.parents[1] / "product.yaml", run=tmp_path / "run")
    monkeypatch.undo()
    assert rung.build(hostile.parents[1] / "product.yaml", run=tmp_path / "run").cleared, (
        "it goes on where it stopped"
    )


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_a_plan_under_a_narrow_terminal(tmp_path, encoding):
    rows = [
        (f"客服 {'退款' if i % 2 else '发货'} \U0001f525 {i}", "退款" if i % 2 else "发货")
        for i in range(120)
    ]
    write_csv(tmp_path / "rows.csv", ["text", "label"], rows)
    env = {**os.environ, "PYTHONIOENCODING": encoding, "LC_ALL": "C", "PYTHONUTF8": "0", "RUNG_LANG": "zh"}

    def plan(*words):
        return subprocess.run([sys.executable, "-m", "rung.cli", "plan", "rows.csv", "-o", "p.yaml", *words], cwd=tmp_path, env=env, capture_output=True, check=False)  # fmt: skip

    done = plan("--json")
    assert done.returncode == 0, done.stderr.decode("latin-1")
    assert "退款" in json.dumps(json.loads(done.stdout.decode("ascii")), ensure_ascii=False)
    (tmp_path / "p.yaml").unlink()
    done = plan()
    assert done.returncode == 0 and b"\\u" in done.stdout + done.stderr and b"Traceback" not in done.stderr


def test_rows_that_a_narrow_output_cannot_hold_are_said(hostile, tmp_path):
    (tmp_path / "rows.csv").write_text("客,text\n客,ships\n", encoding="utf-8")
    env = {**os.environ, "PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}
    words = [
        sys.executable,
        "-m",
        "rung.cli",
        "predict",
        str(hostile),
        "-i",
        str(tmp_path / "rows.csv"),
        "--keep",
    ]
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "-o" in done.stderr and "Traceback" not in done.stderr
