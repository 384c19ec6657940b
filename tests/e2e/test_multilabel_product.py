"""Products whose rows have several labels: read in three writings, built, served, corrected, improved; and networks for them."""

import csv
import json
import random
import subprocess
import sys

import pytest
import yaml

import rung
from rung.core.errors import RungError
from rung.core.label_sets import set_labels
from rung.improvement.feedback_filter import (
    TOO_FEW,
    UNKNOWN_LABEL,
    FilterRules,
    Vote,
    filter_feedback,
)
from rung.journal.encryption import MASTER_KEY_VARIABLE, new_master_key
from rung.pages.report import render
from rung.serving.http.api_keys import KeyStore
from rung.workflows.improve import improve
from served_products import ask, remember, review_all, served
from support import run_cli, write_csv

SPEC = """name: packages
task: text_multilabel
data: {{path: {path}, input: text, target: tags}}
bar: {{metric: micro_f1, at_least: {bar}}}
budget: {{effort: 0, threads: 1}}
ladder: [majority, {rung}]
improve: {{audit_rows: 200, audit_share: 0.6, min_feedback: 20, overlap: 0, margin: 0.2}}
"""


@pytest.fixture(scope="module")
def packages(example_data):
    """Packages with one of six frequent tags, as (description, tags)."""
    frequent = {
        "works-with::text", "use::gameplaying", "works-with::audio", "use::viewing", "works-with::image", "works-with::mail",
    }  # fmt: skip
    with (example_data("packages") / "packages.csv").open(encoding="utf-8", newline="") as file:
        rows = [
            (row["text"][:300].strip(), sorted(frequent & set(row["tags"].split(", "))))
            for row in csv.DictReader(file)
        ]
    return [row for row in rows if row[1]]


def spec_of(folder, bar=0.4, rung_="tfidf_linear", path="rows.csv", extra=""):
    path_ = folder / "product.yaml"
    path_.write_text(SPEC.format(path=path, bar=bar, rung=rung_) + extra, encoding="utf-8")
    return path_


def test_built_served_corrected_and_improved(packages, tmp_path, monkeypatch):
    master = new_master_key()
    monkeypatch.setenv(MASTER_KEY_VARIABLE, master)
    train, traffic = packages[:700], packages[700:1_300]
    write_csv(tmp_path / "rows.csv", ["text", "tags"], [(text, "; ".join(tags)) for text, tags in train])
    spec = spec_of(tmp_path)
    built = rung.build(spec)
    assert built.cleared and built.report["winner"] == "tfidf_linear"
    assert built.report["data"]["labels"]["works-with::audio"] > 20
    page = render(built.report, "en")
    assert "Scores by label" in page and "works-with::audio" in page and "micro_f1" in page
    assert "各标签的成绩" in render(built.report, "zh")
    truth = dict(packages)
    with served(spec, master) as (address, env):
        key = KeyStore(tmp_path / "service").create("shop", "predict")[1]
        reply = ask(
            address, "/v1/models/packages/predict", {"inputs": [{"text": train[0][0]}], "scores": True}, key
        )
        (answer,) = reply["predictions"]
        assert isinstance(answer["labels"], list) and 0 <= answer["probability"] <= 1
        assert len([name for name in answer if name.startswith("score:")]) == 6
        said = {"prediction": answer["id"], "answer": ["works-with::mail", "use::viewing"]}
        assert ask(address, "/v1/feedback", said, key)["source"] == "user"
    remember(tmp_path / "service", built.bundle, [{"text": text} for text, _ in traffic])
    progress = review_all(spec, lambda cells: "; ".join(truth[cells["text"]]), most=560)
    assert progress.mine > 400, progress
    done = improve(spec)
    assert done.verdict == "promoted" and done.facts["accepted"] > 100
    assert dict(done.reasons)["no_worse"]["metric"] == "subset_accuracy"


@pytest.mark.parametrize("writing", ["json", "columns"])
def test_lists_and_columns_of_0_and_1(writing, packages, tmp_path):
    names = sorted({tag for _, tags in packages for tag in tags})
    rows = packages[:400]
    spec = spec_of(tmp_path, path="rows.jsonl" if writing == "json" else "rows.csv")
    if writing == "json":
        lines = [json.dumps({"text": text, "tags": tags}) for text, tags in rows]
        (tmp_path / "rows.jsonl").write_text("\n".join(lines), encoding="utf-8")
    else:
        header = ["text", *names]
        write_csv(
            tmp_path / "rows.csv", header, [(text, *(int(n in tags) for n in names)) for text, tags in rows]
        )
        listed = json.dumps(names)
        spec.write_text(
            spec.read_text("utf-8").replace("target: tags", f"label_columns: {listed}"), encoding="utf-8"
        )
    built = rung.build(spec)
    assert built.cleared and sorted(built.report["data"]["labels"]) == names
    model = rung.load(built.bundle)
    found = [set_labels(answer.value) for answer in model.predict([text for text, _ in rows])]
    assert sum(set(f) == set(tags) for f, (_, tags) in zip(found, rows, strict=True)) > 200
    assert run_cli("verify", built.bundle).returncode == 0


SERVE = """
import json, sys
import rung
model = rung.load(sys.argv[1])
answers = [a.value for a in model.predict(json.load(sys.stdin))]
print(json.dumps([answers, sorted({"torch", "sklearn", "onnx"} & set(sys.modules))]))
"""
SMALL = {
    "mlp": {"epochs": 8},
    "cnn_text": {"epochs": 5, "max_tokens": 48, "hidden": 32},
    "lstm": {"epochs": 5, "max_tokens": 48, "hidden": 32, "learning_rate": 0.005},
    "finetuned_encoder": {"epochs": 1, "train_tokens": 32, "max_tokens": 48},
}


@pytest.mark.slow
@pytest.mark.parametrize("model", SMALL)
def test_networks_of_several_labels_are_chosen_and_served_without_torch(
    model, packages, tmp_path, wordllama, minilm
):
    draw = random.Random(0).sample(packages, 600)
    write_csv(tmp_path / "rows.csv", ["text", "tags"], [(text, ", ".join(tags)) for text, tags in draw])
    spec = spec_of(tmp_path, 0.45, json.dumps({"model": model, "params": SMALL[model]}))
    built = rung.build(spec)
    assert built.cleared and built.report["winner"] == model
    texts = [text for text, _ in draw[:40]]
    done = subprocess.run(
        [sys.executable, "-c", SERVE, str(built.bundle)], input=json.dumps(texts), capture_output=True, text=True, check=True,
    )  # fmt: skip
    answers, heavy = json.loads(done.stdout)
    assert heavy == [] and answers == [a.value for a in rung.load(built.bundle).predict(texts)]


def test_the_command_line_and_the_plan(packages, tmp_path):
    rows = packages[:300]
    write_csv(tmp_path / "rows.csv", ["text", "tags"], [(text, "|".join(tags)) for text, tags in rows])
    planned = run_cli("plan", "rows.csv", "--lang", "en", "-o", "plan.yaml", cwd=tmp_path)
    assert planned.returncode == 0, planned.stderr
    assert "task: text_multilabel" in (tmp_path / "plan.yaml").read_text("utf-8")
    assert "6 classes" in planned.stdout
    built = rung.build(spec_of(tmp_path, 0.3))
    one = run_cli("predict", built.bundle, "--text", "An image viewer that shows photos", "--lang", "en")
    assert one.returncode == 0 and "[" not in one.stdout.splitlines()[0]
    done = run_cli(
        "predict", built.bundle, "-i", tmp_path / "rows.csv", "-o", tmp_path / "out.csv", "--scores"
    )
    assert done.returncode == 0, done.stderr
    with (tmp_path / "out.csv").open(encoding="utf-8-sig", newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 300 and all(isinstance(json.loads(line["labels"]), list) for line in lines)
    assert all(0 <= float(line["score:use::viewing"]) <= 1 for line in lines)


def marked(folder, rows, more=()):
    """Write rows with a column of 0 and 1 for each tag; more: (name, cells of a column) beside them."""
    tags = sorted({tag for _, kept in rows for tag in kept})
    lines = [
        (text, *(int(tag in kept) for tag in tags), *(cells[place] for _, cells in more))
        for place, (text, kept) in enumerate(rows)
    ]
    write_csv(folder / "marks.csv", ["text", *tags, *(name for name, _ in more)], lines)
    return tags


def test_columns_of_marks_are_planned_as_labels_and_build(packages, tmp_path):
    tags = marked(tmp_path, packages[:300])
    planned = run_cli("plan", "marks.csv", "--lang", "en", "-o", "plan.yaml", cwd=tmp_path)
    assert planned.returncode == 0, planned.stderr
    assert "Columns of 0 and 1: 6" in planned.stdout and "6 classes" in planned.stdout
    spec = yaml.safe_load((tmp_path / "plan.yaml").read_text("utf-8"))
    assert spec["task"] == "text_multilabel" and spec["data"]["label_columns"] == tags
    assert "target" not in spec["data"]
    spec |= {"ladder": ["majority", "tfidf_linear"], "budget": {"effort": 0, "threads": 1}}
    spec["bar"] = {"metric": "micro_f1", "at_least": 0.3}
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(spec), encoding="utf-8")
    assert rung.build(tmp_path / "plan.yaml").cleared


def test_columns_of_marks_are_no_labels_where_something_else_is(packages, tmp_path):
    rows = packages[:300]
    marked(tmp_path, rows, [("section", [kept[0].partition("::")[0] for _, kept in rows])])
    assert rung.plan(tmp_path / "marks.csv").guess.task != "text_multilabel"
    marked(tmp_path, rows, [("price", [f"{len(text) * 1.37:.2f}" for text, _ in rows])])
    assert rung.plan(tmp_path / "marks.csv").guess.task != "text_multilabel"
    chosen = rung.plan(tmp_path / "marks.csv", data={"target": "use::viewing"})
    assert chosen.guess.target == "use::viewing"
    marked(tmp_path, [(text, kept[:1]) for text, kept in rows])  # one label a row, spread over columns
    assert rung.plan(tmp_path / "marks.csv").guess.task != "text_multilabel"


def test_one_label_a_row_is_another_task(packages, tmp_path):
    write_csv(tmp_path / "rows.csv", ["text", "tags"], [(text, tags[0]) for text, tags in packages[:200]])
    with pytest.raises(RungError, match="exactly one of the"):
        rung.build(spec_of(tmp_path))


def test_what_the_spec_gets_wrong_is_said_before_data_is_read(packages, tmp_path):
    write_csv(
        tmp_path / "rows.csv", ["text", "tags"], [(text, "; ".join(tags)) for text, tags in packages[:100]]
    )
    spec = spec_of(tmp_path)
    whole = spec.read_text("utf-8")
    spec.write_text(
        whole.replace("text_multilabel", "text_classification\nmultilabel: true"), encoding="utf-8"
    )
    with pytest.raises(RungError, match="multilabel") as caught:
        rung.build(spec)
    assert "Write `task: text_multilabel`" in str(caught.value)
    one = whole.replace("text_multilabel", "text_classification").replace("micro_f1", "accuracy")
    spec.write_text(one.replace("target: tags", 'target: tags, separator: ";"'), encoding="utf-8")
    with pytest.raises(RungError, match="text_classification does not use it"):
        rung.build(spec)
    spec.write_text(whole.replace("target: tags", "label_columns: [film, stage]"), encoding="utf-8")
    with pytest.raises(RungError, match="film"):
        rung.build(spec)
    spec.write_text(whole.replace("micro_f1", "accuracy"), encoding="utf-8")
    with pytest.raises(RungError, match="has no metric 'accuracy'"):
        rung.build(spec)


def test_a_set_with_a_label_that_nobody_knows_waits():
    rules = FilterRules(("film", "stage"), ("film",), 0.9, 1.0, set_labels)
    votes = [
        Vote("1", "a", "ann", True, '["film"]'), Vote("2", "b", "ann", True, '["film", "opera"]'),
        Vote("3", "c", "ann", True, '["film", "stage"]'),
    ]  # fmt: skip
    found = filter_feedback(votes, {}, set(), rules)
    assert [item.text for item in found.accepted] == ["a"]
    assert {reason: [i.text for i in items] for reason, items in found.rejected.items()} == {
        UNKNOWN_LABEL: ["b"], TOO_FEW: ["c"],
    }  # fmt: skip
