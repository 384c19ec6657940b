"""What tables that cannot be used, or rows that cannot be answered, make rung say; and odd ones that it takes."""

import csv
from collections import Counter

import pytest

import rung
from rung.core.certificate_lock import CertificateLock
from rung.core.errors import DataError, RungError, SpecError
from rung.core.registry import task as task_of
from rung.core.spec.product import Product
from rung.data.prepare.cast import with_inputs
from rung.data.prepare.parquet import read_examples
from rung.data.prepare.prepare import prepare


def write(folder, header, rows):
    with (folder / "t.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def prepared(folder, task="tabular_classification", **spec):
    data = {"path": "t.csv", "target": "y"}
    bar = {"metric": "accuracy" if task.endswith("classification") else "r2", "at_least": 0.5}
    product = Product.model_validate({"task": task, "data": data, "bar": bar, **spec})
    product = with_inputs(product, folder, task_of(task))
    place = folder / "data"
    place.mkdir(exist_ok=True)
    return prepare(product, folder, task_of(task), CertificateLock(folder / "certificate.lock"), place)


def said(error):
    return f"{error.value.problem} {error.value.fix}"


def test_a_target_of_one_value(tmp_path):
    write(tmp_path, ["x", "y"], [[i, "good"] for i in range(50)])
    with pytest.raises(DataError) as error:
        prepared(tmp_path)
    assert said(error) == (
        "all training rows have the label 'good': there is nothing to classify A classifier needs rows of at least two labels."
    )
    write(tmp_path, ["x", "y"], [[i, 7] for i in range(50)])
    with pytest.raises(DataError) as error:
        prepared(tmp_path, "tabular_regression")
    assert error.value.problem == "all training rows have the target 7.0: there is nothing to learn"


def test_all_features_missing(tmp_path):
    write(tmp_path, ["x", "z", "y"], [["", "NA", "ab"[i % 2]] for i in range(50)])
    with pytest.raises(DataError) as error:
        prepared(tmp_path)
    assert "none of the 50 rows can be used (empty_input: 50)" in error.value.problem


def test_three_rows(tmp_path):
    write(tmp_path, ["x", "y"], [[1, "a"], [2, "b"], [3, "a"]])
    with pytest.raises(DataError) as error:
        prepared(tmp_path)
    assert error.value.problem == "all training rows have the label 'a': there is nothing to classify"


def test_columns_of_one_name(tmp_path):
    write(tmp_path, ["x", "x", "y"], [[1, 2, "a"]] * 30)
    with pytest.raises(DataError) as error:
        prepared(tmp_path)
    assert said(error) == "the header holds the column 'x' more than once Rename one of them."


def test_labels_that_differ_by_case(tmp_path):
    write(tmp_path, ["x", "y"], [[i, ("Yes", "yes", "no")[i % 3]] for i in range(90)])
    with pytest.raises(DataError) as error:
        prepared(tmp_path)
    assert said(error) == (
        "the labels 'Yes' and 'yes' differ by case or blanks alone "
        "Write them alike in the data: they would be learned as different answers."
    )


def test_costs_need_two_labels_and_a_task_that_takes_them(tmp_path):
    write(tmp_path, ["x", "y"], [[i, "abc"[i % 3]] for i in range(90)])
    costs = {"false_negative": 5.0, "false_positive": 1.0}
    with pytest.raises(DataError) as error:
        prepared(tmp_path, costs=costs)
    assert error.value.problem == "`costs` speaks of two labels, the target holds 3"
    spec = {
        "task": "text_classification",
        "data": {"path": "t.csv"},
        "costs": costs,
        "bar": {"metric": "accuracy", "at_least": 0.5},
    }
    with pytest.raises(SpecError) as refused:
        rung.build(Product.model_validate(spec), run=tmp_path / "run")
    assert "text_classification takes no costs." in str(refused.value)


def test_expected_cost_without_costs():
    task = task_of("tabular_classification")
    with pytest.raises(RungError) as error:
        task.metric("expected_cost", task.schema(["x"], ["a", "b"]))
    assert error.value.fix == "Say what errors cost: `costs: {false_negative: 500, false_positive: 5}`."


def test_infinities_are_missing_and_words_among_numbers_are_left_out_with_a_reason(tmp_path):
    rows = [[i, "inf" if i % 10 == 0 else i / 7, "ab"[i % 2]] for i in range(400)]
    rows += [[1000 + i, f"word{i}", "a"] for i in range(4)]
    write(tmp_path, ["i", "x", "y"], rows)
    dataset = prepared(tmp_path)
    assert dataset.facts["quarantined"] == {"bad_value": 4} and dataset.facts["unreadable"] == {"x": 4}
    column = read_examples(dataset, "train").inputs["x"]
    assert 0.05 < (column != column).mean() < 0.15


def test_words_that_begin_late_in_a_column_of_numbers(tmp_path):
    """A tenth of the rows, all at the end, says the same word: it is known, and the number is missing."""
    rows = [[i if i < 1800 else "unlimited", i * 3, "ab"[i % 2]] for i in range(2000)]
    write(tmp_path, ["x", "z", "y"], rows)
    dataset = prepared(tmp_path)
    field = dataset.schema.inputs[0]
    assert (field.kind, field.values) == ("number", ("unlimited",)) and not dataset.facts["quarantined"]


def test_a_file_that_changes_while_it_is_read(tmp_path):
    write(tmp_path, ["x", "y"], [[i, "ab"[i % 2]] for i in range(200)])
    spec = {
        "task": "tabular_classification",
        "data": {"path": str(tmp_path / "t.csv"), "target": "y"},
        "bar": {"metric": "accuracy", "at_least": 0.5},
    }

    def changes(kind, facts):
        if kind == "step" and facts["name"] == "data" and facts["state"] == "begun":
            with (tmp_path / "t.csv").open("a") as file:
                file.write("7,a\n")

    with pytest.raises(DataError) as error:
        rung.build(Product.model_validate(spec), run=tmp_path / "run", on_event=changes)
    assert said(error) == "the data changed while it was read Wait until it is written, or build from a copy."
    # Nothing was fitted with the first state of the file: the folder is begun anew, with the second.
    assert rung.build(Product.model_validate(spec), run=tmp_path / "run").report["data"]["rows"] == 201


def test_five_thousand_columns_and_one_more(tmp_path):
    names = [f"c{i}" for i in range(5001)]
    write(tmp_path, [*names, "y"], [[i * j % 17 for j in range(5001)] + ["ab"[i % 2]] for i in range(40)])
    with pytest.raises(DataError) as error:
        prepared(tmp_path)
    assert (
        said(error)
        == "5,001 columns are too many: at most 5,000 are read Name the columns that matter in `data.input`."
    )


def test_repeated_rows_train_and_one_of_them_certifies(tmp_path):
    rows = [[i % 60, "ab"[(i // 60) % 2]] for i in range(600)]
    write(tmp_path, ["x", "y"], rows)
    dataset = prepared(tmp_path)
    train, certification = (read_examples(dataset, name) for name in ("train", "certification"))
    assert len(set(certification.units)) == len(certification)
    assert len(train) == 10 * len(set(train.units)) and not set(train.units) & set(certification.units)


def test_what_a_served_model_refuses_and_takes(tmp_path, monkeypatch):
    rows = [
        [20 + i % 50, ("red", "blue")[i % 2], f"2024-0{1 + i % 9}-11", "yes" if i % 50 > 25 else "no"]
        for i in range(300)
    ]
    rows = [[f"{n} kg", c, d, y] for n, c, d, y in rows]
    write(
        tmp_path,
        ["weight", "colour", "day", "y"],
        [[w, c, f"{d} 0{i % 10}:00", y] for i, (w, c, d, y) in enumerate(rows)],
    )
    spec = {
        "task": "tabular_classification", "data": {"path": "t.csv", "target": "y"}, "certify": {"fraction": 0.0},
        "bar": {"metric": "accuracy", "at_least": 0.9}, "ladder": ["linear_table"], "budget": {"effort": 0, "threads": 1},
    }  # fmt: skip
    monkeypatch.chdir(tmp_path)
    done = rung.build(Product.model_validate(spec), run=tmp_path / "run")
    model = rung.load(done.bundle)
    row = {"weight": "65 kg", "colour": "red", "day": "11/04/2024"}
    (known,) = model.predict([row])
    assert known.value == "yes"
    (again,) = model.predict([{"weight": 65.0, "colour": " red ", "day": "2024-04-11"}])
    assert again.score == pytest.approx(known.score)
    # An unseen category counts as another one; what is missing is missing.
    assert model.predict([{**row, "colour": "ultraviolet"}, {**row, "weight": None, "day": ""}])
    with pytest.raises(RungError) as error:
        model.predict([{**row, "weight": "heavy"}])
    assert said(error) == (
        "'weight' must be a number, not 'heavy' Send a number such as 1200.5, or null when it is not known."
    )
    with pytest.raises(RungError) as error:
        model.predict([{"weight": None, "colour": "", "day": None}])
    assert error.value.problem == "nothing in weight, colour, day"
    with pytest.raises(RungError) as error:
        model.predict([{"wieght": 3, "colour": "red", "day": None}])
    assert said(error) == "the input 'weight' is missing Did you mean 'wieght'?"


def test_a_file_that_changed_between_two_builds_begins_another_run(tmp_path):
    """What a plan read may differ from what is built: a run folder belongs to one state of the data."""
    write(tmp_path, ["x", "y"], [[i, "ab"[i % 2]] for i in range(200)])
    (tmp_path / "product.yaml").write_text(
        "task: tabular_classification\ndata: {path: t.csv, target: y}\nbar: {metric: accuracy, at_least: 0.1}\n"
        "ladder: [majority]\ncertify: {fraction: 0.0}\n"
    )
    rung.build(tmp_path / "product.yaml", run=tmp_path / "run")
    write(tmp_path, ["x", "y"], [[i, "ab"[i % 2]] for i in range(201)])
    with pytest.raises(RungError) as error:
        rung.build(tmp_path / "product.yaml", run=tmp_path / "run")
    assert (
        error.value.problem
        == "this run of 'product' was begun with a different product.yaml or different data"
        or ("begun with a different product.yaml or different data" in error.value.problem)
    )


def test_the_labels_that_matter_stand_last():
    task = task_of("tabular_classification")

    def labels(counts, **costs):
        schema = task.schema(["x"], list(counts))
        cells = {"x": Counter({"1": 1, "2": 1})}
        return task.described(schema, counts, lambda: cells, costs).labels

    assert labels({"yes": 90, "no": 10}) == ("no", "yes")
    assert labels({"red": 10, "blue": 90}) == ("blue", "red")
    assert labels({"good": 700, "bad": 300}) == ("good", "bad")
    costs = {"false_negative": 1.0, "false_positive": 1.0, "positive": "good"}
    assert labels({"good": 700, "bad": 300}, **costs) == ("bad", "good")


def test_five_thousand_columns_are_read_and_learned_from(tmp_path, monkeypatch):
    names = [f"c{i}" for i in range(5000)]
    rows = [[(i * j * 7919) % 101 for j in range(5000)] + ["ab"[i % 2]] for i in range(1, 61)]
    write(tmp_path, [*names, "y"], [[(i % 2) * 50 + row[0] % 40, *row[1:]] for i, row in enumerate(rows, 1)])
    spec = {
        "task": "tabular_classification", "data": {"path": "t.csv", "target": "y"}, "certify": {"fraction": 0.0},
        "bar": {"metric": "accuracy", "at_least": 0.4}, "ladder": ["linear_table"], "budget": {"effort": 0, "threads": 1},
    }  # fmt: skip
    monkeypatch.chdir(tmp_path)
    done = rung.build(Product.model_validate(spec), run=tmp_path / "run")
    assert len(rung.load(done.bundle).schema.inputs) == 5000


def test_words_from_row_90_000_on(tmp_path):
    """A word that repeats is known and its number missing; words that do not are left out, each with its row."""
    rows = [[i if i < 90_000 else "closed", i % 97, "ab"[i % 2]] for i in range(100_000)]
    write(tmp_path, ["x", "z", "y"], rows)
    dataset = prepared(tmp_path)
    assert dataset.schema.inputs[0].values == ("closed",)
    assert "bad_value" not in dataset.facts["quarantined"]
    odd = [[row[0] if i < 99_000 else f"see note {i}", *row[1:]] for i, row in enumerate(rows)]
    write(
        tmp_path,
        ["x", "z", "y"],
        [[i if i < 90_000 else i * 2, *row[1:]] if i < 99_000 else row for i, row in enumerate(odd)],
    )
    (tmp_path / "certificate.lock").unlink()
    dataset = prepared(tmp_path)
    assert dataset.schema.inputs[0].kind == "number" and dataset.facts["quarantined"] == {"bad_value": 1000}
    assert dataset.facts["unreadable"] == {"x": 1000}


def test_a_file_that_changed_between_plan_and_build(tmp_path, monkeypatch):
    """A column that the plan saw is gone: the build says which, and what there is instead."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path, ["size", "age", "y"], [[i, i % 7, "ab"[i % 2]] for i in range(200)])
    from rung.workflows.plan import plan
    from support import run_cli

    assert plan(tmp_path / "t.csv").guess.target == "y"
    done = run_cli("plan", "t.csv", "-o", "p.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    write(tmp_path, ["sise", "age", "y"], [[i, i % 7, "ab"[i % 2]] for i in range(200)])
    done = run_cli("build", "p.yaml", cwd=tmp_path)
    assert done.returncode == 2 and "size" in done.stderr and "'sise'" in done.stderr
