"""Tables whose rows have several labels: fitted label by label, stored, explained; read from cells and from columns of 0 and 1."""

import csv
import random

import numpy as np
import pytest

import rung
from rung.core import registry
from rung.core.label_sets import marks_of, set_labels, set_text
from rung.core.model import FitContext
from rung.core.types import Examples, Field, Schema
from rung.modalities.tables.label_parts import LabelParts
from rung.models.boosted_trees import BoostedTrees
from rung.models.linear_table import LinearTable
from rung.models.mlp_table import MlpTable, MlpTableParams
from rung.training.linear.label_sets import set_score
from support import run_cli, write_csv


def machines(rows, seed=0):
    """Return machines with what is measured of them and their faults: one of heat, one of noise, one that hardly any has."""
    draw = random.Random(seed)
    found = []
    for number in range(rows):
        heat, noise = draw.gauss(60, 10), draw.gauss(40, 8)
        faults = ["cooling"] * (heat + draw.gauss(0, 2) > 66) + ["bearing"] * (noise + draw.gauss(0, 2) > 44)
        found.append(
            {"heat": round(heat, 2), "noise": round(noise, 2), "hall": draw.choice(["north", "南厂房"])}
            | {"faults": faults + ["fire"] * (number in {3, 40})}
        )
    return found


def examples_of(rows):
    names = ("heat", "noise", "hall")
    kinds = {"heat": "number", "noise": "number", "hall": "category"}
    inputs = {name: [row[name] for row in rows] for name in names}
    labels = tuple(sorted({label for row in rows for label in row["faults"]}))
    schema = Schema(
        tuple(Field(name, kinds[name], "input") for name in names),
        (Field("labels", "labels", "output", labels),),
    )
    targets = [set_text(row["faults"]) for row in rows]
    units = [f"{number:016x}" for number in range(len(rows))]
    return Examples(schema, inputs, targets, units, list(range(1, len(rows) + 1)), [0.0] * len(rows))


@pytest.mark.parametrize(
    ("family", "params"),
    [
        (LinearTable, LinearTable.Params()),
        (BoostedTrees, BoostedTrees.Params()),
        (MlpTable, MlpTableParams(members=2, width=32, epochs=40, learning_rate=0.01, bags=1)),
    ],
)
def test_each_label_is_learned_stored_and_explained(family, params, tmp_path):
    train, test = examples_of(machines(240)), examples_of(machines(160, seed=1))
    if family is MlpTable:
        pytest.importorskip("torch")
    model = family.fit(train, params, FitContext(effort=0, goal="micro_f1"))
    answers = model.predict(test.inputs)
    marks, said = (marks_of(t, train.schema.label_set) for t in (test.targets, [a.value for a in answers]))
    assert set_score(marks, said, "micro_f1") > 0.75
    model.save(tmp_path)
    again = family.load(tmp_path, train.schema)
    np.testing.assert_allclose(again.probabilities(test.inputs), model.probabilities(test.inputs), atol=1e-9)
    assert [a.value for a in again.predict(test.inputs)] == [a.value for a in answers]
    # Two rows with a label are too few to learn it: its share answers, and the report says so.
    fire = train.schema.label_set.index("fire")
    assert model.chosen["share_of_rows_answers"] == ["fire"]
    assert np.unique(model.probabilities(test.inputs)[:, fire]).size == 1
    hottest = {name: [row] for name, row in {"heat": 95.0, "noise": 20.0, "hall": "north"}.items()}
    (reasons,) = again.explain(hottest)
    assert set_labels(again.predict(hottest)[0].value) == ("cooling",)
    assert "heat" in reasons[0].text and reasons[0].weight > 0
    assert again.predict({"heat": [], "noise": [], "hall": []}) == [] and again.explain({"heat": []}) == []


def test_parts_that_do_not_fit_the_labels_are_refused(tmp_path):
    train = examples_of(machines(120))
    LinearTable.fit(train, LinearTable.Params(), FitContext(effort=0, goal="macro_f1")).save(tmp_path)
    with pytest.raises(rung.RungError, match="3 parts do not fit 2 labels"):
        LabelParts.load(tmp_path, train.schema.input_names, 2)


@pytest.mark.parametrize("written", ["cells", "columns"])
def test_a_product_is_built_and_answers(written, tmp_path):
    rows = machines(400)
    names = ["bearing", "cooling"]
    if written == "cells":
        table = [("heat", "noise", "hall", "faults")]
        table += [(r["heat"], r["noise"], r["hall"], "; ".join(r["faults"]) or "[]") for r in rows]
        columns = "target: faults"
    else:
        table = [("heat", "noise", "hall", *names)]
        table += [(r["heat"], r["noise"], r["hall"], *(int(n in r["faults"]) for n in names)) for r in rows]
        columns = "label_columns: [bearing, cooling]"
    write_csv(tmp_path / "rows.csv", table[0], table[1:])
    (tmp_path / "product.yaml").write_text(
        f"name: faults\ntask: tabular_multilabel\ndata: {{path: rows.csv, {columns}}}\n"
        "bar: {metric: micro_f1, at_least: 0.5}\nbudget: {effort: 0, threads: 1}\nladder: [majority, linear_table]\n",
        encoding="utf-8",
    )
    done = run_cli("build", tmp_path / "product.yaml", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    (bundle,) = (tmp_path / "runs").glob("*/bundle")
    loaded = rung.load(bundle)
    assert [field.name for field in loaded.schema.inputs] == ["heat", "noise", "hall"]
    (answer,) = loaded.predict([{"heat": 90, "noise": 20, "hall": "north"}])
    assert set_labels(answer.value) == ("cooling",)
    if written == "cells":
        guess = rung.plan(tmp_path / "rows.csv").guess
        assert guess.task == "tabular_multilabel" and guess.target == "faults"


def test_rows_of_one_label_each_name_the_task_for_them(tmp_path):
    with (tmp_path / "rows.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("heat", "fault"), *((i, "ab"[i % 2]) for i in range(60))])
    (tmp_path / "product.yaml").write_text(
        "name: one\ntask: tabular_multilabel\ndata: {path: rows.csv, target: fault}\nbar: {metric: micro_f1, at_least: 0.5}\n",
        encoding="utf-8",
    )
    done = run_cli("build", tmp_path / "product.yaml", cwd=tmp_path)
    assert done.returncode == 2 and "Use `task: tabular_classification`" in done.stderr + done.stdout


def test_the_task_is_registered_with_its_families():
    assert registry.task("tabular_multilabel").one_label == "tabular_classification"
    assert "tabular_multilabel" in LinearTable.TASKS and "tabular_multilabel" in BoostedTrees.TASKS
