"""The how-to pages are followed literally: their files are written, entered, and built with."""

import gzip
import re
import shlex
import sqlite3
import sys

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import rung
from rung.core import registry
from rung.core.errors import InputError
from rung.core.kind import kind
from rung.core.plugins import refresh
from rung.core.spec.product import Product, parse_product
from rung.core.types import Field
from rung.data.prepare.fingerprint import fingerprint_data
from rung.data.sources.read import open_source, read_rows
from rung.data.sources.rows import Reading
from rung.testing import check_kind
from support import ROOT, run_cli, write_csv

BLOCK = re.compile(r"""```python title="(\S+)"\n(.*?)```""", re.S)
TOML = re.compile(r'^(\w+) = "rung\.(tasks|models)\.(\w+):(\w+)"$', re.M)
KIND = re.compile(r'^(\w+) = "(\w+):(\w+)"$', re.M)


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return a function that installs what a page says as a package of its own."""

    def run(page):
        text = (ROOT / "docs" / "howto" / page).read_text(encoding="utf-8")
        files = dict(BLOCK.findall(text))
        assert files
        for name, code in files.items():
            (tmp_path / name).write_text(code, encoding="utf-8")
        entries = {
            "tasks": [],
            "models": [],
            "kinds": [" = ".join((n, f"{m}:{a}")) for n, m, a in KIND.findall(text)],
        }
        for name, group, module, attribute in TOML.findall(text):
            assert f"{module}.py" in files
            entries[group].append(f"{name} = {module}:{attribute}")
        info = tmp_path / "followed-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: followed\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(
            "".join(f"[rung.{g}]\n" + "\n".join(e) + "\n" for g, e in entries.items())
        )
        monkeypatch.syspath_prepend(str(tmp_path))
        refresh()
        return [name.removesuffix(".py") for name in files]

    yield run
    refresh()
    for name in ("keyword_count", "spelling_check", "always_yes", "grey_patch"):
        sys.modules.pop(name, None)


def test_add_a_model(install, news_csv, tmp_path, monkeypatch):
    (name,) = install("add-a-model.md")
    monkeypatch.chdir(tmp_path)
    spec = {
        "task": "text_classification", "data": {"path": str(news_csv)}, "bar": {"metric": "accuracy", "at_least": 0.5},
        "budget": {"effort": 0, "threads": 1, "indifference_usd_per_1m": 0}, "ladder": ["majority", "keyword_count", "tfidf_linear"],
    }  # fmt: skip
    done = rung.build(Product.model_validate(spec), run=tmp_path / "run")
    assert (
        name in [t["rung"] for t in done.report["trials"]] and done.report["winner"] == name and done.cleared
    )
    assert rung.load(done.bundle).selftest() == []


def test_add_a_task(install, tmp_path, monkeypatch):
    install("add-a-task.md")
    monkeypatch.chdir(tmp_path)
    rows = [(f"word{i}", "1" if i % 10 else "0") for i in range(400)]
    write_csv(tmp_path / "words.csv", ["word", "ok"], rows)
    spec = {
        "task": "spelling_check", "data": {"path": "words.csv", "input": "word", "target": "ok"},
        "bar": {"metric": "accuracy", "at_least": 0.8},
    }  # fmt: skip
    done = rung.build(Product.model_validate(spec), run=tmp_path / "run")
    assert done.report["winner"] == "always_yes" and done.report["certificate"]["exact"]
    task = registry.task("spelling_check")
    tiny = task.tiny()
    assert task.metric("accuracy", task.schema(["word"], [])).score(
        [r["target"] for r in tiny],
        registry.model("always_yes")().predict({"word": [r["word"] for r in tiny]}),
        task.schema(["word"], []),
    ) == pytest.approx(0.5)


def test_add_a_kind(install):
    (name,) = install("add-a-kind.md")
    check_kind(name)
    known, field = kind(name), Field("patch", name, "input")
    blob = known.reader(field)(b"GREY\x02\x04", "row 0")
    assert blob.measures == {"brightness": 3.0}
    with pytest.raises(InputError, match="is no patch of grey"):
        known.reader(field)(b"PNG", "row 0")


@pytest.fixture
def sources(tmp_path, monkeypatch):
    """The files that read-your-data.md names."""
    rows = [
        (f"printer {i} is {'broken' if i % 2 else 'slow'}", "it" if i % 2 else "desk") for i in range(200)
    ]
    header = ["subject", "queue"]
    write_csv(tmp_path / "tickets.csv", header, rows)
    (tmp_path / "exports").mkdir()
    write_csv(tmp_path / "exports" / "2024-01.csv", header, rows)
    (tmp_path / "tickets.csv.gz").write_bytes(gzip.compress((tmp_path / "tickets.csv").read_bytes()))
    for name in ("tickets.parquet", "more.parquet"):
        texts = [f"{text}, says {name}" for text, _ in rows]
        table = pa.table({"subject": texts, "queue": [label for _, label in rows]})
        pq.write_table(table, tmp_path / name)
    book = openpyxl.Workbook()
    book.active.title = "Tickets"
    for row in [header, *rows]:
        book.active.append(row)
    book.save(tmp_path / "tickets.xlsx")
    connection = sqlite3.connect(tmp_path / "tickets.db")
    connection.execute("create table tickets (subject text, queue text)")
    connection.executemany("insert into tickets values (?, ?)", rows)
    connection.commit()
    connection.close()
    for number, (text, label) in enumerate(rows):
        path = tmp_path / "texts" / label / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


READ = {
    name: (ROOT / "docs" / "howto" / name).read_text(encoding="utf-8")
    for name in ("read-your-data.md", "read-your-data.zh.md")
}
SPECS = [
    (name, block) for name, page in READ.items() for block in re.findall(r"```yaml\n(.*?)```", page, re.S)
]


@pytest.mark.parametrize("name,block", SPECS)
def test_read_your_data(name, block, sources):
    """Every source of the page is a spec; those that lie on this machine are read."""
    bar = "bar: {metric: accuracy, at_least: 0.5}\ntask: text_classification\n"
    product = parse_product(block + bar)
    path = product.data.paths[0]
    if not path.startswith(("https:", "hf:", "postgresql")):
        assert len(fingerprint_data(product, sources)) == 64
        source = open_source(product.data.paths, Reading.of(product.data, None))
        assert {*product.data.input, product.data.target} <= set(source.columns)
        assert len(list(read_rows(source))) >= 200


@pytest.mark.parametrize("name", READ)
def test_read_your_data_commands_and_python(name, sources):
    """The commands print what the page shows: of orders.csv, whose first lines it shows too."""
    shown = re.findall(r"```text\n(Orders.*?)```", READ[name], re.S)[0]
    orders = shown.splitlines()[:3] + [
        f"C-{1001 + i};{i % 28 + 1:02d}/{i % 12 + 1:02d}/2023 {i % 12}:30 PM;"
        f"{'500 g' if i % 4 == 0 else f'{i % 5 + 1},5 kg'};R$ {i % 9 + 1}.638,1{i % 10};"
        f"{'true' if i % 3 else 'FALSE'};{'AB'[i % 2] if i % 20 else ''}"
        for i in range(200)
    ]
    assert orders[:6] == shown.splitlines()
    (sources / "orders.csv").write_text("\n".join(orders) + "\n", encoding="utf-8")
    printed, compared = "", 0
    for language, block in re.findall(r"```(\w+)\n(.*?)```", READ[name], re.S):
        if language == "bash":
            for line in block.splitlines():
                more = [] if "--lang" in line else ["--lang", "en"]
                done = run_cli(*shlex.split(line)[1:], *more, "--force", cwd=sources)
                assert done.returncode == 0, done.stderr
                printed = done.stdout
        elif language == "text" and block != shown:
            assert block in printed, printed
            compared += 1
        elif language == "python":
            exec(compile(block, name, "exec"), {})
    assert compared == 1
