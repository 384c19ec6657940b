"""Students learn from a teacher within a budget and are certified on people's labels, never on the teacher's."""

import csv
import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

import rung
from llm_server import by_keywords, completion, llm_server
from rung.runtime.service.ledger import BudgetSpentError
from rung.training.distillation.selection import has_flattened, kept_answers, next_rows
from rung.workflows.distill import TeacherSpec, distill
from support import run_cli, write_csv

WORDS = {"kitchen": "soup|bread|sauce|oven", "sport": "goal|match|team|race"}
THINGS = [thing for pattern in WORDS.values() for thing in pattern.split("|")]


def notes(first, count):
    found = []
    for number in range(first, first + count):
        thing = THINGS[(number * 7) % len(THINGS)]
        label = next(name for name, pattern in WORDS.items() if thing in pattern.split("|"))
        found.append((f"note {number} of day {number % 13} about the {thing} and more", label))
    return found


@pytest.fixture
def product(tmp_path):
    write_csv(tmp_path / "gold.csv", ["text", "label"], notes(0, 180))
    write_csv(tmp_path / "pool.csv", ["text"], [[text] for text, _ in notes(1000, 400)])
    path = tmp_path / "product.yaml"
    path.write_text(
        "name: notes\ntask: text_classification\ndata: {path: gold.csv, input: text, target: label}\n"
        "bar: {metric: accuracy, at_least: 0.8}\nbudget: {effort: 0, threads: 1}\nladder: [majority, tfidf_linear]\n"
    )
    return path


def teacher(server):
    return TeacherSpec(server.base, "test-1", {"usd_in": 1.0, "usd_out": 10.0})


def test_students_learn_from_a_language_model_and_are_certified_on_people(product):
    with llm_server(by_keywords(WORDS, "sport", logprob=-0.01)) as server:
        found = distill(product, teacher(server), product.parent / "pool.csv", labels=200, usd=1.0)
        asked = Counter(body["messages"][-1]["content"] for _, body, _ in server.seen)
        assert max(count for text, count in asked.items() if "<text>" in text) == 1
        report = found.report
        assert found.build.cleared and report["student"]["rung"] == "tfidf_linear"
        assert report["teacher"]["accuracy"] == 1.0 and report["teacher"]["floor"] < 0.6
        assert report["asked"]["why"] in {"flat", "labels"} and report["asked"]["labels"] <= 200
        assert report["asked"]["usd"] == pytest.approx(sum(asked.values()) * 50e-6, rel=0.2)
        assert report["break_even_rows"] > 0
        with (found.folder / "train.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        by = Counter(row["labelled_by"] for row in rows)
        assert set(by) == {"people", "test-1"} and by["test-1"] > 50
        with (found.folder / "gold.csv").open(encoding="utf-8") as file:
            held = {row["text"] for row in csv.DictReader(file)}
        assert not held & {row["text"] for row in rows} and len(held) == report["gold"]["certification"]
        assert not any(text in content for content in asked for text in held), (
            "certification rows are not asked about"
        )
        page = (found.folder / "distill.html").read_text(encoding="utf-8")
        assert (
            "never on the teacher's labels" in page.replace("&#x27;", "'") and "paid for themselves" in page
        )
        # Again: every answer is there already.
        before = len(server.seen)
        distill(product, teacher(server), product.parent / "pool.csv", labels=200, usd=1.0)
        assert len(server.seen) == before


def test_the_budget_stops_the_teacher_and_what_it_said_is_used(product):
    with llm_server(by_keywords(WORDS, "sport")) as server:
        found = distill(product, teacher(server), product.parent / "pool.csv", labels=300, usd=0.012)
    assert found.report["asked"]["why"] == "budget" and found.report["asked"]["usd"] <= 0.012
    assert found.report["asked"]["labels"] > 10


def test_a_budget_without_room_for_a_label_is_refused(product):
    with llm_server(by_keywords(WORDS, "sport")) as server, pytest.raises(BudgetSpentError):
        distill(product, teacher(server), product.parent / "pool.csv", usd=0.0001)


def test_a_teacher_no_better_than_guessing_is_none(product):
    refused = pytest.raises(rung.RungError, match="no teacher here: 'test-1' is right on")
    with llm_server(lambda body, number: completion('{"label": "sport"}')) as server, refused:
        distill(product, teacher(server), product.parent / "pool.csv")


def test_a_bundle_teaches_from_the_command_line(product):
    built = rung.build(product, run=product.parent / "large")
    done = run_cli(
        "distill",
        product,
        "--pool",
        product.parent / "pool.csv",
        "--teacher",
        built.bundle,
        "--labels",
        "100",
        "--json",
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (
        report["asked"]["labels"] <= 100
        and report["asked"]["usd"] == 0
        and report["teacher"]["usd_per_1k"] > 0
    )
    shown = run_cli("distill", product, "--pool", "nowhere.csv", "--teacher", built.bundle)
    assert shown.returncode == 2 and "nowhere.csv" in shown.stderr


def test_rows_are_chosen_where_the_student_is_unsure_and_at_random():
    rng = np.random.default_rng(0)
    free = np.arange(100, 400)
    sure = np.column_stack([np.linspace(0.5, 1.0, 300), np.linspace(0.5, 0.0, 300)])
    chosen = next_rows(sure, free, 50, rng)
    assert len(set(chosen.tolist())) == 50 and set(chosen.tolist()) <= set(free.tolist())
    assert 0.6 < np.mean(chosen < 300) < 0.95, "most of them lie among the unsure ones, not all"
    assert len(next_rows(None, free[:10], 50, rng)) == 10
    flat = [0.5, 0.7, 0.8, 0.8, 0.801, 0.802, 0.8, 0.803, 0.801, 0.802]
    assert has_flattened(flat) and not has_flattened(flat[:4])
    assert not has_flattened([0.5, 0.6, 0.7, 0.8, 0.85, 0.9])
    # A point with each doubling, and a point of chance in each round.
    slow = [0.75 + 0.012 * np.log2(k) + 0.01 * (-1) ** k for k in range(1, 16)]
    assert not any(has_flattened(slow[:k]) for k in range(1, 16))
    kept = kept_answers(np.array([0.99, 0.5, 0.4, 0.9]), np.array([0.01, 0.01, 0.9, 0.9]))
    assert kept.tolist() == [True, False, True, True]


def test_texts_are_made_up_for_rare_labels_checked_marked_and_never_certify(product):
    """A third label has a dozen rows. The teacher writes copies, texts of another label, and new ones."""
    rare = [(f"receipt {i} for the invoice of day {i % 13} and more", "money") for i in range(16)]
    write_csv(product.parent / "gold.csv", ["text", "label"], [*notes(0, 180), *rare])
    words = {"money": "receipt|invoice|refund", **WORDS}
    written, draw = [], np.random.default_rng(0)

    def words_of(count):
        return " ".join("".join(draw.choice(list("abdegiklmnoprstu"), 6)) for _ in range(count))

    def reply(body, number):
        system = body["messages"][0]["content"]
        if "You write texts" not in system:
            return by_keywords(words, "sport", logprob=-0.01)(body, number)
        assert "label 'money'" in system
        texts = ["receipt 3 for the invoice of day 3 and more", f"{words_of(4)} soup was cold {words_of(4)}"]
        texts += [f"{words_of(5)} {thing} {words_of(5)}" for thing in ("refund", "invoice", "receipt")]
        written.extend(texts)
        return completion(json.dumps({"texts": texts}))

    with llm_server(reply) as server:
        asked = replace(teacher(server), synthetic=30)
        found = distill(product, asked, product.parent / "pool.csv", labels=100, usd=1.0)
    made = found.report["synthetic"]
    (told,) = made["labels"]
    assert told["label"] == "money" and made["rows"] == told["texts"] >= 10
    assert told["copies"] >= 1 and told["other"] >= 1, "copies and texts of another label are dropped"
    with (found.folder / "train.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["labelled_by"] == "test-1 (synthetic)"]
    assert len(rows) == made["rows"] and {row["label"] for row in rows} == {"money"}
    texts = [row["text"] for row in rows]
    assert len(set(texts)) == len(texts) and not any(
        "soup" in text or text.startswith("receipt 3 ") for text in texts
    )
    held = (found.folder / "gold.csv").read_text(encoding="utf-8")
    assert not any(text in held for text in texts) and "(synthetic)" not in held
    page = (found.folder / "distill.html").read_text(encoding="utf-8")
    assert "made up" in page or "编写" in page


def test_rows_that_cannot_be_made_up_are_refused_before_anything_is_asked(product):
    with pytest.raises(rung.RungError, match="a bundle cannot make up rows"):
        distill(product, TeacherSpec("some/bundle", synthetic=5), product.parent / "pool.csv")
    done = run_cli("distill", product, "--pool", "p.csv", "--teacher", "some/bundle", "--synthetic", "5")
    assert done.returncode == 2 and "a bundle cannot make up rows" in done.stderr
