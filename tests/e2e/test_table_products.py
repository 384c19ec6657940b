"""Tables on the same road as texts: spec, build, certificate, bundle, HTTP, command line; for labels and for numbers."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest
from fastapi.testclient import TestClient
from sklearn.datasets import load_diabetes

import rung
from rung.core.errors import InputError
from rung.serving.http.app import create_app
from rung.workflows.plan import plan
from support import run_cli

pytest.importorskip("lightgbm")
CREDIT = """name: credit
task: tabular_classification
data: {{path: {path}, target: creditability}}
costs: {{positive: bad, false_negative: 5, false_positive: 1}}
bar:
  - {{metric: roc_auc, at_least: {bar}}}
  - {{metric: expected_cost, at_most: 0.8}}
budget: {{effort: 0, threads: 1}}
ladder: [linear_table, boosted_trees, stack]
"""
SUGAR = """name: sugar
task: tabular_regression
data: {path: sugar.csv, target: progression}
bar: {metric: "within:60", at_least: 0.5}
budget: {effort: 0, threads: 1}
ladder: [linear_table]
"""


@pytest.fixture(scope="module")
def credit_csv(example_data):
    return example_data("credit") / "credit.csv"


@pytest.fixture(scope="module")
def credit(credit_csv, tmp_path_factory):
    folder = tmp_path_factory.mktemp("credit")
    (folder / "product.yaml").write_text(CREDIT.format(path=credit_csv, bar=0.55))
    return rung.build(folder / "product.yaml", run=folder / "run", all_rungs=True)


@pytest.fixture(scope="module")
def sugar(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sugar")
    found = load_diabetes(scaled=False)
    with (folder / "sugar.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*found.feature_names, "progression"])
        writer.writerows(
            [[*row, y] for row, y in zip(found.data.tolist(), found.target.tolist(), strict=True)]
        )
    (folder / "product.yaml").write_text(SUGAR)
    return rung.build(folder / "product.yaml", run=folder / "run")


def test_credit_is_certified_for_ranking_and_for_what_errors_cost(credit):
    assert credit.cleared
    conditions = credit.report["certificate"]["conditions"]
    assert [c["metric"] for c in conditions] == ["roc_auc", "expected_cost"] and all(
        c["exact"] for c in conditions
    )
    assert conditions[0]["bound"] >= 0.55 and conditions[1]["bound"] == 0.8
    trials = {t["rung"]: t for t in credit.report["trials"]}
    assert set(trials) == {"majority", "linear_table", "boosted_trees", "stack"}
    # No packed model answers other than the fitted one, and each beats answering without looking.
    assert all(t["status"] != "broken export" for t in trials.values())
    best = max(trials.values(), key=lambda t: t["scores"]["roc_auc"])
    assert (
        best["scores"]["roc_auc"] > 0.72
        and best["scores"]["expected_cost"] < trials["majority"]["scores"]["expected_cost"]
    )
    found = credit.report["details"]["thresholds"]
    assert found["positive"] == "bad" and found["table"][0]["cost"] > 0 and 0 < found["ks"] < 1
    assert json.loads((credit.folder / "report.json").read_text())["winner"] == credit.report["winner"]


def test_credit_is_served_without_the_libraries_that_trained_it(credit, credit_csv):
    for name in ("linear_table", "boosted_trees", "stack"):
        bundle = credit.folder / "trials" / name / "bundle"
        code = (
            f"import sys, rung, csv\nm = rung.load({str(bundle)!r})\nrows = list(csv.DictReader(open({str(credit_csv)!r})))[:50]\n"
            "m.predict(rows); m.explain(rows[:2]); assert not m.selftest()\n"
            "print({n.split('.')[0] for n in sys.modules} & {'lightgbm', 'sklearn', 'scipy', 'pyarrow', 'pandas', 'onnx'})"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "set()", name


def test_credit_over_http(credit, credit_csv):
    with credit_csv.open(newline="") as file:
        row = next(csv.DictReader(file))
    client = TestClient(create_app([rung.load(credit.bundle)]))
    answer = client.post(
        "/v1/models/credit/predict", json={"inputs": row, "scores": True, "explain": True}
    ).json()
    (found,) = answer["predictions"]
    assert found["label"] in {"good", "bad"} and found["score:good"] + found["score:bad"] == pytest.approx(
        1.0, abs=1e-5
    )
    assert found["reasons"] and " = " in found["reasons"][0]["text"]
    missing = {**row, "age_in_years": None, "purpose": "a trip to the moon"}
    assert (
        "label" in client.post("/v1/models/credit/predict", json={"inputs": missing}).json()["predictions"][0]
    )
    wrong = client.post("/v1/models/credit/predict", json={"inputs": {**row, "age_in_years": "old"}}).json()
    assert wrong["predictions"] == [{"error": "'age_in_years' must be a number, not 'old'"}]


def test_credit_from_a_file_to_a_file(credit, credit_csv, tmp_path):
    done = run_cli("predict", credit.bundle, "-i", credit_csv, "-o", tmp_path / "out.csv", "--scores")
    assert done.returncode == 0, done.stderr
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 1000 and not any(row["error"] for row in rows)
    assert run_cli("verify", credit.bundle).returncode == 0


def test_rows_of_a_file_are_answered_like_rows_one_by_one_with_what_decided(credit, credit_csv, tmp_path):
    with credit_csv.open(newline="") as file:
        rows = list(csv.DictReader(file))[:30]
    rows[3] |= dict.fromkeys(rows[3], "")
    rows[7]["age_in_years"] = "old"
    source = tmp_path / "in.csv"
    with source.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    done = run_cli("predict", credit.bundle, "-i", source, "-o", tmp_path / "out.csv", "--explain")
    assert done.returncode == 0, done.stderr
    with (tmp_path / "out.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    model = rung.load(credit.bundle)
    assert len(found) == 30 and [bool(line["error"]) for line in found] == [i in {3, 7} for i in range(30)]
    for row, line in zip(rows, found, strict=True):
        if line["error"]:
            assert not line["reasons"]
            continue
        (answer,), (reasons,) = model.predict([row]), model.explain([row])
        assert line["label"] == answer.value
        assert float(line["probability"]) == pytest.approx(answer.score, abs=1e-5)
        assert line["reasons"].startswith(f"{reasons[0].text} ({reasons[0].weight:+.2f})")
    assert (
        run_cli("predict", credit.bundle, "-i", source, "-o", tmp_path / "o.jsonl", "--explain").returncode
        == 0
    )
    lines = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    assert "reasons" not in lines[3] and set(lines[0]["reasons"][0]) == {"text", "weight"}


def test_columns_of_a_data_frame_are_answered_in_several_threads_alike(credit, credit_csv, monkeypatch):
    with credit_csv.open(newline="") as file:
        rows = list(csv.DictReader(file))
    model = rung.load(credit.bundle)
    columns = {name: [row[name] for row in rows] for name in model.schema.input_names}
    one = model.predict_columns(columns)
    monkeypatch.setattr("rung.serving.predictor._BLOCK", 64)
    monkeypatch.setattr("rung.serving.predictor._CHUNK", 64)
    numbers = {f.name for f in model.schema.inputs if f.kind == "number"}
    arrays = {
        n: np.array(c, dtype=float) if n in numbers else np.array(c, dtype=object) for n, c in columns.items()
    }
    np.testing.assert_allclose(model.predict_columns(arrays, threads=3), one, atol=1e-6)
    np.testing.assert_allclose(model.predict_columns(arrays), one, atol=1e-6)
    empty = {n: (c.copy() if n not in numbers else c.astype(float)) for n, c in arrays.items()}
    for column in empty.values():
        column[70] = np.nan if column.dtype == float else None
    with pytest.raises(InputError) as error:
        model.predict_columns(empty)
    assert error.value.where == "row 70"


def test_numbers_come_with_an_interval_and_a_certificate(sugar):
    assert sugar.cleared and sugar.report["certificate"]["conditions"][0]["exact"]
    (trial,) = [t for t in sugar.report["trials"] if t["rung"] == sugar.report["winner"]]
    assert trial["scores"]["r2"] > 0.35 and trial["scores"]["covered"] == pytest.approx(0.9, abs=0.06)
    model = rung.load(sugar.bundle)
    row = {
        "age": 59,
        "sex": 2,
        "bmi": 32.1,
        "bp": 101,
        "s1": 157,
        "s2": 93.2,
        "s3": 38,
        "s4": 4,
        "s5": 4.86,
        "s6": 87,
    }
    (answer,) = model.respond([row])
    assert set(answer) == {"value", "low", "high"} and answer["low"] < answer["value"] < answer["high"]
    assert any(r.text == "bmi = 32.1" for r in model.explain([row])[0])


def test_a_plan_tells_labels_from_numbers(credit_csv, sugar):
    found = plan(credit_csv)
    assert (found.guess.task, found.guess.target) == ("tabular_classification", "creditability")
    ladder = {r.name for r in found.ladder.rungs} | set(found.ladder.left_out)
    assert ladder == {"majority", "linear_table", "explainable_boosting", "boosted_trees", "stack"}
    found = plan(sugar.folder.parent / "sugar.csv", data={"target": "progression"})
    assert found.guess.task == "tabular_regression" and found.brief["bar"]["metric"] == "within:10%"


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_plan_of_a_table_speaks_of_rows_and_columns(credit_csv, lang):
    from rung.pages.plan import render_plan
    from rung.pages.plan_text import readiness_lines, task_lines

    found = plan(credit_csv).as_dict()
    lines = [*task_lines(found, lang), *(line for _, line in readiness_lines(found, lang))]
    said = " ".join(lines)
    assert len(readiness_lines(found, lang)) >= 5 and "age_in_years" in said
    for word in ("text", "Text", "characters", "文本", "字符"):
        assert word not in said, [line for line in lines if word in line]
    assert render_plan(found, lang).startswith("<!doctype html>")


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_report_of_a_table_has_what_a_scorecard_team_looks_for(credit, lang):
    """Thresholds with their cost, KS, gains and lift, precision and recall, importance, dependence."""
    from rung.core.messages import say
    from rung.pages.report import render

    report = json.loads((credit.folder / "report.json").read_text(encoding="utf-8"))
    page = render(report, lang)
    keys = ("thresholds", "cost", "gain", "lift", "pr", "importance", "dependence", "dependence_read")
    for key in keys:
        assert say(f"tables.{key}", lang) in page, key
    details = report["details"]["thresholds"]
    assert f"{details['ks']:.3f}" in page and all("cost" in line for line in details["table"])
    # The winner's score hangs on columns, and a lift of the first rows beats chance.
    assert report["study"]["importance"]["columns"][0]["worse"] > 0 and details["lift"][0]["lift"] > 1


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_report_of_numbers_shows_the_worst_misses(sugar, lang):
    from rung.core.messages import say
    from rung.pages.report import render

    page = render(json.loads((sugar.folder / "report.json").read_text(encoding="utf-8")), lang)
    for key in ("misses", "importance", "dependence"):
        assert say(f"tables.{key}", lang) in page
