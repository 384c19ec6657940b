"""No row is dropped, merged or left out without a count and a reason."""

import json
import subprocess

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import rung
from case_products import HERE, prepared, product_of
from rung.core.spec.product import Product
from rung.data.sources.read import open_source, read_rows
from rung.pages.data_notes import data_notes
from support import run_cli

TEXT = {"task": "text_classification", "input": "text"}


def test_a_frequent_none_among_labels_stops_and_asks(tmp_path):
    with pytest.raises(rung.RungError) as caught:
        prepared(tmp_path, "none_label.csv", **TEXT)
    assert "'None' stands in 110 rows of the column 'label'" in caught.value.problem
    assert "missing_labels: []" in caught.value.fix and "missing_labels: [None]" in caught.value.fix


def test_the_spec_says_whether_none_is_a_label(tmp_path):
    data = prepared(tmp_path, "none_label.csv", missing_labels=[], **TEXT)
    assert set(data.facts["labels"]) == {"None", "Mild", "Severe"} and data.facts["used"] == 330
    data = prepared(tmp_path, "none_label.csv", missing_labels=["None"], **TEXT)
    assert set(data.facts["labels"]) == {"Mild", "Severe"}
    assert data.facts["quarantined"]["missing_target"] == 110
    parsed = Product.model_validate(
        {"task": "text_classification", "data": {"path": "d.csv", "missing_labels": "NA"},
         "bar": {"metric": "accuracy", "at_least": 0.5}}
    )  # fmt: skip
    assert parsed.data.missing_labels == ("NA",)


def test_a_rare_missing_word_is_counted_and_said(tmp_path):
    rows = "".join(f"text {i} {'ab'[i % 2] * 3},{'xy'[i % 2]}\n" for i in range(100)) + "odd,NA\nodder,None\n"
    (tmp_path / "d.csv").write_text("text,label\n" + rows)
    data = prepared(tmp_path, "d.csv", **TEXT)
    assert (
        data.facts["missing_words"] == {"NA": 1, "None": 1}
        and data.facts["quarantined"]["missing_target"] == 2
    )
    assert "'NA' in 1 row was read as no label" in data_notes(data.facts, "en")


def test_labels_of_the_spec_are_labels(tmp_path):
    text = (HERE / "labelled.csv").read_text(encoding="utf-8").replace("truth", "label", 1)
    (tmp_path / "d.csv").write_text(text, encoding="utf-8")
    labelling = {"labels": ["NA", "EMEA", "APAC"], "weights": "none"}
    data = prepared(tmp_path, "d.csv", labelling=labelling, **TEXT)
    assert (
        set(data.facts["labels"]) == {"NA", "EMEA", "APAC"}
        and data.facts["quarantined"].get("missing_target", 0) == 0
    )


@pytest.mark.parametrize(
    "file,rows,task", [("blob.parquet", 330, "text"), ("nested.parquet", 300, "tabular")]
)
def test_a_column_that_cannot_be_read_costs_no_row(tmp_path, file, rows, task):
    given = TEXT if task == "text" else {"task": "tabular_classification", "target": "y"}
    data = prepared(tmp_path, file, **given)
    assert data.facts["used"] == rows and data.facts["quarantined"] == {}
    if task == "tabular":
        (column,) = data.facts["columns_left_out"]
        assert column not in data.dataset.schema.input_names
        assert f"Column {column} is not used: holds a JSON list, not text" in data_notes(data.facts, "en")


def test_an_unreadable_cell_of_a_column_that_is_needed_costs_its_row(tmp_path):
    texts = [f"text {i} {'ab'[i % 2] * 3}".encode() for i in range(100)]
    texts[7] = b"\xff\xfe\xfa"
    table = {"text": pa.array(texts), "label": ["xy"[i % 2] for i in range(100)]}
    pq.write_table(pa.table(table), tmp_path / "d.parquet")
    data = prepared(tmp_path, "d.parquet", **TEXT)
    assert data.facts["quarantined"] == {"undecodable": 1} and data.quarantine[0]["row"] == 8


def test_a_plan_does_not_propose_what_cannot_be_read(tmp_path):
    plan = rung.plan(str(HERE / "nested.parquet"))
    found = plan.as_dict()
    (column,) = found["read"]["columns_left_out"]
    assert all(column not in guess["inputs"] for guess in found["guesses"])


def rows_of(path):
    source = open_source(path)
    found = list(read_rows(source))
    return found, source.tables[0].notes


def test_stray_quotes_swallow_no_rows(tmp_path):
    found, notes = rows_of(HERE / "quotes.csv")
    assert len(found) == 330 and not any(row.problem for row in found)
    assert notes["stray_quotes"] == {"lines": [42, 242], "count": 2}
    assert found[40].values["text"].startswith('"7 inch in salt')
    data = prepared(tmp_path, "quotes.csv", **TEXT)
    assert data.facts["rows"] == data.facts["used"] == 330
    assert "quotes.csv: quotes without a partner were read as text in 2 lines: 42, 242" in data_notes(
        data.facts, "en"
    )


def test_five_rows_are_five(tmp_path):
    found, notes = rows_of(HERE / "quotes_5.csv")
    assert [row.values["label"] for row in found] == ["tech", "food", "tech", "tech", "sport"]
    assert len(found) == 5 and notes["stray_quotes"]["lines"] == [2, 5]


@pytest.mark.parametrize(
    "text,rows,problems",
    [
        # A quote at the end of one cell pairs with one at the beginning of another, twenty rows before.
        ("x,label\n" + "".join(f"row {i},{'ab'[i % 2]}\n" for i in range(20)) + '"7 inch,a\n'
         + "".join(f"row {i},{'ab'[i % 2]}\n" for i in range(20, 40)) + 'screen of 7",b\n', 42, 0),
        # Texts of several lines, quoted as they should be, stay one cell.
        ('x,label\n' + "".join(f'"Dear all,\nno {i}\nBest, Bob",{"ab"[i % 2]}\n' for i in range(20)), 20, 0),
        ('x,label\n"Hi, Bob\nthanks",a\n"Hi, Ann\nbye",b\n', 2, 0),
        # An inch mark inside a line of its own.
        ('x,label\n"12" screen,a\nplain,b\n"quoted, well",a\n', 3, 0),
        ('x,label\n"a ""quoted"" word",a\nplain,b\n', 2, 0),
    ],
)  # fmt: skip
def test_lines_of_the_file_are_rows_unless_quotes_say_otherwise(tmp_path, text, rows, problems):
    (tmp_path / "d.csv").write_text(text)
    found, _ = rows_of(tmp_path / "d.csv")
    assert (len(found), sum(bool(row.problem) for row in found)) == (rows, problems)


def test_an_inch_mark_in_one_line_is_kept(tmp_path):
    (tmp_path / "d.csv").write_text('x,label\n"12" screen,a\nplain,b\n')
    assert rows_of(tmp_path / "d.csv")[0][0].values["x"] == '"12" screen'


def test_a_target_that_is_no_number_is_counted(tmp_path):
    rows = "".join(f"{i},{i}.5\n" for i in range(60)) + "61,many\n"
    (tmp_path / "d.csv").write_text("x,y\n" + rows)
    data = prepared(tmp_path, "d.csv", task="tabular_regression", target="y")
    assert data.facts["quarantined"] == {"bad_target": 1} and data.facts["used"] == 60


def test_the_notes_are_printed_by_data_check_and_plan(tmp_path):
    product_of(tmp_path, "nested.parquet", "quotes.csv", task="tabular_classification", target="y")
    spec = "task: tabular_classification\ndata: {path: nested.parquet, target: y}\nbar: {metric: accuracy, at_least: 0.5}\n"
    (tmp_path / "product.yaml").write_text(spec)
    said: subprocess.CompletedProcess[str] = run_cli(
        "data", "check", tmp_path / "product.yaml", "--lang", "en"
    )
    assert "is not used: holds a JSON list, not text" in " ".join(said.stdout.split()), said.stderr
    planned = run_cli("plan", tmp_path / "quotes.csv", "-o", tmp_path / "p.yaml", "--lang", "en")
    assert "quotes without a partner were read as text in 2 lines" in " ".join(planned.stdout.split())
    assert json.loads((tmp_path / "plan.json").read_text(encoding="utf-8"))["read"]["dialects"]["quotes.csv"]


def test_columns_left_out_as_ids_are_named_by_plan_build_and_report(tmp_path):
    rows = [f"{10_000 + i},C-{i:04d},{i % 7},same,{'xy'[(i % 7) > 3]}" for i in range(200)]
    (tmp_path / "d.csv").write_text("customer_id,code,n,const,y\n" + "\n".join(rows) + "\n")
    said = ("Column customer_id is not used: an id, it differs in every row",
            "Column code is not used: an id, it differs in every row",
            "Column const is not used: the same in every row")  # fmt: skip
    planned = run_cli("plan", tmp_path / "d.csv", "--target", "y", "-o", tmp_path / "p.yaml", "--lang", "en")
    written = json.loads((tmp_path / "plan.json").read_text(encoding="utf-8"))["read"]["columns_unused"]
    assert set(written) == {"customer_id", "code", "const"}
    assert all(line in " ".join(planned.stdout.split()) for line in said), planned.stdout
    assert all(line in (tmp_path / "plan.html").read_text(encoding="utf-8") for line in said)
    spec = "task: tabular_classification\nname: c\ndata: {path: d.csv, target: y}\nbar: {metric: accuracy, at_least: 0.5}\n"
    spec += (
        'ladder: [linear_table]\nbudget: {effort: 0, threads: 1}\naccept: ["leak_column:n", "leak_alone:n"]\n'
    )
    (tmp_path / "product.yaml").write_text(spec)
    done = run_cli("build", tmp_path / "product.yaml", "--lang", "zh", "--all-rungs")
    for name, why in (("customer_id", "每行都不同"), ("code", "每行都不同"), ("const", "每行都相同")):
        assert done.stderr.count(f"未使用列 {name}：") == 1 and why in done.stderr, done.stderr
    page = next(tmp_path.glob("runs/*/report.html")).read_text(encoding="utf-8")
    assert all(f"未使用列 {name}：" in page for name in written)
