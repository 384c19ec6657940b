"""What a plan guesses where the data leaves a choice: targets, classes of few rows, personal data in cells."""

import json
import random

import pytest

import rung
from rung.core.errors import DataError
from rung.core.spec.product import load_product
from rung.core.spec.source_names import PASSWORD
from rung.workflows.plan_labels import Unlabelled
from support import run_cli, write_csv

URGENCY = {"low": "question about", "mid": "slow printer", "high": "system down and broken"}


def tickets(folder, names=("text", "status", "priority")):
    rng = random.Random(1)
    levels = [rng.choice(list(URGENCY)) for _ in range(300)]
    rows = [
        (f"{URGENCY[level]} in room {i}", rng.choice(["open", "closed"]), level)
        for i, level in enumerate(levels)
    ]
    write_csv(folder / "rows.csv", names, rows)
    return folder / "rows.csv"


def test_the_target_that_the_texts_tell_is_chosen_and_the_other_is_named(tmp_path):
    found = rung.plan(tickets(tmp_path))
    assert found.guess.target == "priority"
    chosen, other = found.brief["targets"]
    assert (chosen["column"], other["column"]) == ("priority", "status")
    assert chosen["signal"] > 0.9 > 0.2 > other["signal"]


def test_a_name_counts_more_than_a_signal(tmp_path):
    assert rung.plan(tickets(tmp_path, ("text", "label", "priority"))).guess.target == "label"


def test_the_users_choice_is_not_compared(tmp_path):
    found = rung.plan(tickets(tmp_path), data={"target": "status"})
    assert found.guess.target == "status" and found.brief["targets"] == []


def test_four_hundred_classes_of_six_rows_are_classes(tmp_path):
    rows = [
        (f"request {i} about topic {i % 400} and some more words", f"class {i % 400}") for i in range(2400)
    ]
    write_csv(tmp_path / "rows.csv", ["text", "label"], rows)
    lights = {light["key"]: light for light in rung.plan(tmp_path / "rows.csv").brief["readiness"]}
    assert lights["rows_per_class"]["light"] == "stop" and lights["rows_per_class"]["values"]["fewest"] == 6


def test_personal_data_is_found_in_cells_and_not_written(tmp_path):
    rows = [
        (f"user{i}@example.com", f"please help user{i}@example.com with order {i}", "xy"[i % 2])
        for i in range(100)
    ]
    write_csv(tmp_path / "rows.csv", ["kontakt", "text", "label"], rows)
    found = rung.plan(tmp_path / "rows.csv")
    assert any(duty["kind"] == "personal" for duty in found.brief["duties"])
    assert "@example.com" not in json.dumps(found.as_dict())
    short = [(f"user{i}@example.com", f"please help with order {i}", "xy"[i % 2]) for i in range(100)]
    write_csv(tmp_path / "short.csv", ["kontakt", "text", "label"], short)
    (duty,) = (d for d in rung.plan(tmp_path / "short.csv").brief["duties"] if d["kind"] == "personal")
    assert duty["column"] == "kontakt"


def test_texts_without_labels_become_a_product_to_label(tmp_path):
    rng = random.Random(2)
    words = ("invoice payment refund", "printer paper jam", "password login account", "holiday leave days")
    kinds = [rng.choice(words).split() for _ in range(200)]
    rows = [
        (f"please look at my {' '.join(rng.sample(kind, 2))} since number {i}",)
        for i, kind in enumerate(kinds)
    ]
    write_csv(tmp_path / "desk.csv", ["text"], rows)
    done = run_cli("plan", "desk.csv", cwd=tmp_path)
    assert done.returncode == 0 and "rung label product.yaml" in done.stdout, done.stderr
    product, _ = load_product(tmp_path / "product.yaml")
    assert product.data.input == ("text",) and len(product.labelling.labels) >= 3
    shared = {word for label in product.labelling.labels for word in label.split("-")}
    assert len(shared & {word for kind in words for word in kind.split()}) >= 4
    status = run_cli("label", "product.yaml", "--status", cwd=tmp_path)
    assert status.returncode == 0, status.stderr


def test_chinese_texts_without_labels(tmp_path):
    rows = [
        (f"{('酒店房间很干净，服务员很热情', '这本书的内容太旧，印刷也差')[i % 2]}，第{i}次",)
        for i in range(120)
    ]
    write_csv(tmp_path / "评论.csv", ["评论"], rows)
    done = run_cli("plan", "评论.csv", "--lang", "zh", cwd=tmp_path)
    assert done.returncode == 0 and "rung label" in done.stdout, done.stderr
    assert load_product(tmp_path / "product.yaml")[0].data.input == ("评论",)


def test_a_dozen_rows_are_too_few(tmp_path):
    write_csv(
        tmp_path / "rows.csv",
        ["text", "kind"],
        [(f"text number {i} of some length", f"k{i}") for i in range(12)],
    )
    with pytest.raises(DataError, match="12 rows are too few"):
        rung.plan(tmp_path / "rows.csv")


@pytest.mark.parametrize("style", ["{:,.2f} €", "${:,.2f}", "{:,.2f}", "CHF {:.0f}"])
def test_amounts_of_money_make_a_table_no_texts(tmp_path, style):
    rng = random.Random(3)
    amounts = [style.format(rng.uniform(100, 9000)) for _ in range(300)]
    if style == "{:,.2f}":
        amounts = [text.translate(str.maketrans(",.", ".,")) for text in amounts]
    rows = [
        (f"K{i:05}", amount, rng.choice(["DE", "AT"]), rng.choice(["yes", "no"]))
        for i, amount in enumerate(amounts)
    ]
    write_csv(tmp_path / "customers.csv", ["customer", "turnover", "country", "label"], rows)
    found = rung.plan(tmp_path / "customers.csv")
    assert found.guess.task == "tabular_classification" and "turnover" in found.guess.inputs


def test_a_product_to_label_holds_no_password(tmp_path, monkeypatch):
    found = Unlabelled(DataError("no task fits", "table"), "text", {"null": 40, "printer": 40})
    written = found.yaml("desk", ["postgresql://ann:s3cret@host/db"])
    assert "s3cret" not in written
    (tmp_path / "product.yaml").write_text(written)
    monkeypatch.setenv(PASSWORD, "s3cret")
    assert list(load_product(tmp_path / "product.yaml")[0].labelling.labels) == ["null", "printer"]
