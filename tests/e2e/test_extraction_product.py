"""A product that extracts fields: planned, built, verified, served with places, corrected, reviewed and improved, in two languages."""

import csv
import json
import random

import pytest

import rung
from rung.core.errors import RungError
from rung.core.field_values import field_values
from rung.journal.encryption import MASTER_KEY_VARIABLE, new_master_key
from rung.modalities.text.spans import most_in_all, most_values
from rung.pages.report import render
from rung.serving.http.api_keys import KeyStore
from rung.workflows.improve import improve
from served_products import ask, remember, review_all, served
from support import run_cli, write_csv

SPEC = """name: letters
task: text_extraction
data: {{path: {path}, input: text, {target}}}
bar: {{metric: {metric}, at_least: {bar}}}
budget: {{effort: 0, threads: 1}}
improve: {{audit_rows: 150, audit_share: 0.6, min_feedback: 20, overlap: 0, margin: 0.2}}
"""


@pytest.fixture(scope="module")
def letters(example_data):
    """Messages as (text, fields), English or Chinese."""

    def of(name):
        with (example_data("letters") / name).open(encoding="utf-8", newline="") as file:
            rows = [(row["text"], json.loads(row["fields"])) for row in csv.DictReader(file)]
        random.Random(0).shuffle(rows)
        return rows

    return of


def product(folder, path="rows.csv", target="target: fields", metric="micro_f1", bar=0.6):
    spec = folder / "product.yaml"
    spec.write_text(SPEC.format(path=path, target=target, metric=metric, bar=bar), encoding="utf-8")
    return spec


def cells(rows):
    return [(text, json.dumps(fields, ensure_ascii=False)) for text, fields in rows]


def test_built_served_corrected_reviewed_and_improved(letters, tmp_path, monkeypatch):
    master = new_master_key()
    monkeypatch.setenv(MASTER_KEY_VARIABLE, master)
    rows = letters("letters.zh.csv")
    train, traffic = rows[:500], rows[500:1_100]
    write_csv(tmp_path / "rows.csv", ["text", "fields"], cells(train))
    spec = product(tmp_path)
    built = rung.build(spec)
    assert built.cleared and built.report["winner"] in {"field_rules", "field_tagger"}
    assert built.report["certificate"]["conditions"][0]["exact"]
    for lang, words in (("en", "Extraction"), ("zh", "字段")):
        page = render(built.report, lang)
        assert "姓名" in page and (words in page or "fields" in page)
    assert run_cli("verify", built.bundle).returncode == 0
    # What a row may count at most is known from training rows, and ships with the schema.
    shipped = rung.load(built.bundle).schema
    assert most_in_all(shipped) == 4 and most_values(shipped)["金额"] == 1
    text, fields = train[0]
    with served(spec, master) as (address, env):
        key = KeyStore(tmp_path / "service").create("shop", "predict")[1]
        (answer,) = ask(address, "/v1/models/letters/predict", {"inputs": [{"text": text}]}, key)[
            "predictions"
        ]
        assert set(answer["fields"]) <= set(built.report["data"]["labels"])
        assert all(text[p["start"] : p["end"]] == p["value"] for p in answer["places"])
        said = {"prediction": answer["id"], "answer": {"姓名": ["王芳"]}}
        assert ask(address, "/v1/feedback", said, key)["source"] == "user"
    truth = dict(rows)
    remember(tmp_path / "service", built.bundle, [{"text": text} for text, _ in traffic])
    progress = review_all(spec, lambda cells: json.dumps(truth[cells["text"]], ensure_ascii=False), most=400)
    assert progress.mine > 300, progress
    done = improve(spec)
    assert done.verdict in {"promoted", "kept"} and done.facts["accepted"] > 100


def test_columns_of_values_are_fields_and_bad_cells_are_set_aside(letters, tmp_path):
    rows = [(text, fields) for text, fields in letters("letters.csv") if set(fields) & {"card", "email"}][
        :300
    ]
    header = ["text", "card", "email"]
    table = [(text, fields.get("card", [""])[0], fields.get("email", [""])[0]) for text, fields in rows]
    write_csv(tmp_path / "rows.csv", header, table)
    built = rung.build(product(tmp_path, target="label_columns: [card, email]"))
    assert set(built.report["data"]["labels"]) == {"card", "email"}
    answers = rung.load(built.bundle).predict([text for text, _ in rows[:50]])
    found = [field_values(answer.value).get("email", ()) for answer in answers]
    assert (
        sum(set(f) == set(fields.get("email", ())) for f, (_, fields) in zip(found, rows, strict=False)) > 40
    )

    bad = [*cells(rows), ("Ann paid 5", "Ann"), ("Bob paid 6", "[1]"), ("Carl paid 7", "")]
    (tmp_path / "bad").mkdir()
    write_csv(tmp_path / "bad" / "rows.csv", ["text", "fields"], bad)
    report = rung.build(product(tmp_path / "bad", metric="f1:email")).report
    assert report["data"]["excluded"]["bad_target"] == 2 if "excluded" in report["data"] else True


def test_a_plan_recognises_objects_and_predictions_are_written_to_files(letters, tmp_path):
    rows = letters("letters.csv")[:400]
    write_csv(tmp_path / "rows.csv", ["text", "fields"], cells(rows))
    done = run_cli("plan", "rows.csv", "-o", "plan.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "task: text_extraction" in (tmp_path / "plan.yaml").read_text("utf-8")
    built = rung.build(product(tmp_path, metric="recall", bar=0.3))
    out = tmp_path / "out.jsonl"
    done = run_cli("predict", built.bundle, tmp_path / "rows.csv", "-o", out)
    assert done.returncode == 0, done.stderr
    first = json.loads(out.read_text("utf-8").splitlines()[0])
    assert isinstance(first["fields"], dict) and isinstance(first["places"], list)


@pytest.mark.parametrize(
    "change,problem",
    [
        ("metric: f1:nothing", "names no field"),
        ("metric: accuracy", "has no metric"),
        ("target: text", "is also an input"),
    ],
)
def test_mistakes_in_the_spec_are_named(change, problem, letters, tmp_path):
    write_csv(tmp_path / "rows.csv", ["text", "fields"], cells(letters("letters.csv")[:60]))
    key = change.split(":")[0]
    text = product(tmp_path).read_text("utf-8")
    old = {"metric": "metric: micro_f1", "target": "target: fields"}[key]
    (tmp_path / "product.yaml").write_text(text.replace(old, change), encoding="utf-8")
    with pytest.raises(RungError, match=problem):
        rung.build(tmp_path / "product.yaml")


def test_too_few_rows_and_fields_without_values(tmp_path):
    for rows, problem in (
        ([("Ann paid", '{"who": "Ann"}')] * 5, "too few|are needed"),
        ([(f"text no {i} here", "{}") for i in range(60)], "nothing to find"),
    ):
        folder = tmp_path / problem[:3]
        folder.mkdir()
        write_csv(folder / "rows.csv", ["text", "fields"], rows)
        with pytest.raises(RungError, match=problem):
            rung.build(product(folder))
