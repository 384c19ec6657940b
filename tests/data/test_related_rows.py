"""Rows that come in families are found where they were planted, and honest rows are left alone."""

import csv
import random

import numpy as np
import pytest

from rung.core import registry
from rung.core.certificate_lock import CertificateLock
from rung.core.messages import LANGUAGES
from rung.core.spec.product import Product
from rung.data.checks import related_rows
from rung.data.prepare.cast import with_inputs
from rung.data.prepare.prepare import prepare
from rung.data.profile.dependence import dependence, target_of
from rung.data.profile.row_clusters import by_shared_id, by_value, similar
from rung.data.profile.row_similarity import RowFeatures, codes_of, neighbours
from rung.data.profile.view import View
from rung.pages.findings import finding_text
from rung.workflows.plan import plan

WORDS = [a + b for a in ("ba", "de", "fi", "go", "ku", "la", "mo", "ne", "pi", "ro") for b in
         ("rt", "sk", "lm", "nd", "pt", "st", "ck", "ng", "sh", "th", "rn", "ll", "ss", "mp", "ft")]  # fmt: skip


def sentence(draw, words):
    return " ".join(draw.choices(WORDS, k=words))


def families(rows, size, text, seed=0):
    """Texts of families with a random label each. text: from a draw and the family's own sentence to a row's text."""
    draw = random.Random(seed)
    found = []
    for family in range(rows // size):
        own, label = sentence(draw, 14), draw.choice(["yes", "no"])
        found += [{"text": text(draw, own), "customer": f"c{family}", "y": label} for _ in range(size)]
    draw.shuffle(found)
    return found


def names_changed(draw, own):
    """A template with ten words of its own; what is filled in makes it no near duplicate, which would not train at all."""
    filled = [f"{word}ius" for word in draw.choices(WORDS, k=12)]
    return " ".join(word for pair in zip(own.split()[:10], filled[:10], strict=True) for word in pair)


def shuffled(draw, own):
    return " ".join(draw.sample(own.split(), 14)) + " " + sentence(draw, 3)


def honest_texts(rows=800, seed=1):
    """Every text has some words of its own label, and no relatives."""
    draw = random.Random(seed)
    own = {"yes": WORDS[:30], "no": WORDS[20:50]}
    found = []
    for _ in range(rows):
        label = draw.choice(["yes", "no"])
        words = draw.choices(own[label], k=4) + draw.choices(WORDS, k=12)
        found.append({"text": " ".join(words), "customer": f"c{draw.randrange(100)}", "y": label})
    return found


@pytest.fixture
def found(tmp_path):
    """Return a function from rows, and keys of `data`, to the finding."""

    def ask(rows, task="text_classification", **data):
        with (tmp_path / "t.csv").open("w", newline="") as file:
            table = csv.DictWriter(file, rows[0])
            table.writeheader()
            table.writerows(rows)
        metric = {"metric": "r2" if task.endswith("regression") else "accuracy", "at_least": 0.5}
        spec = {"task": task, "data": {"path": "t.csv", "target": "y", **data}, "bar": metric}
        product = Product.model_validate(spec)
        known = registry.task(product.task)
        product = with_inputs(product, tmp_path, known)
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "certificate.lock").unlink(missing_ok=True)
        dataset = prepare(
            product, tmp_path, known, CertificateLock(tmp_path / "certificate.lock"), tmp_path / "data"
        )
        return related_rows.check(View(product, tmp_path, dataset))

    return ask


@pytest.mark.parametrize("text", [names_changed, shuffled], ids=lambda f: f.__name__)
def test_families_of_texts_stop_and_the_column_that_tells_them_is_named(found, text):
    finding = found(families(800, 8, text), input="text")
    assert (finding.check, finding.level, finding.values["group"]) == ("related_rows", "stop", "customer")
    assert float(finding.values["plain"]) > 0.9 and float(finding.values["clustered"]) < 0.65
    assert float(finding.values["plain_bound"]) < float(finding.values["plain"])
    assert float(finding.values["clustered_bound"]) < float(finding.values["clustered"])
    for lang in LANGUAGES:
        words = finding_text(finding.as_dict(), lang)
        assert finding.values["clustered"] in words["what"] and "group: customer" in words["remedy"]
        assert "{" not in words["what"]
    # Families are listed as a whole.
    families_listed = {row["family"] for row in finding.table}
    assert len(finding.table) > 500 and len(families_listed) >= 20
    assert finding.evidence


def test_with_the_group_named_nothing_is_found(found):
    assert found(families(800, 8, names_changed), input="text", group="customer") is None


def test_without_such_a_column_the_remedy_says_what_to_add(found):
    rows = [{"text": row["text"], "y": row["y"]} for row in families(800, 8, shuffled)]
    finding = found(rows, input="text")
    assert finding.values["group"] == ""
    assert "add one to the source" in finding_text(finding.as_dict(), "en")["remedy"]


def test_texts_that_share_a_number_alone(found):
    draw = random.Random(5)
    rows = []
    for family in range(100):
        label = draw.choice(["yes", "no"])
        rows += [
            {"text": f"{sentence(draw, 6)} ref-{7919 * family + 100} {sentence(draw, 6)}", "y": label}
            for _ in range(8)
        ]
    draw.shuffle(rows)
    finding = found(rows, input="text")
    assert finding is not None and finding.values["kin"] == "id"


def customers(rows, size, target, seed=0):
    """A table of customers: three of their numbers repeat, two columns differ in every row."""
    rng = np.random.default_rng(seed)
    found = []
    for family in range(rows // size):
        own, label = rng.normal(size=3).round(3), target(rng)
        for _ in range(size):
            other = rng.normal(size=2).round(3)
            found.append(
                dict(zip("abcde", [*own, *other], strict=True))
                | {"id": f"k{family}", "y": label if label is not None else ""}
            )
    rng.shuffle(found)
    return found


def test_customers_whose_features_repeat(found):
    rows = customers(800, 8, lambda rng: str(rng.choice(["yes", "no"])))
    finding = found(rows, "tabular_classification", input=list("abcde"))
    assert finding.level == "stop" and finding.values["group"] == "id"


def test_customers_with_a_number_as_target(found):
    rows = customers(800, 8, lambda rng: round(float(rng.normal()), 3))
    finding = found(rows, "tabular_regression", input=list("abcde"))
    assert finding.level == "stop" and finding.values["metric"] == "R2"
    assert float(finding.values["plain"]) > 0.8 and float(finding.values["clustered"]) < 0.3


def test_customers_whose_target_follows_from_their_features_are_no_finding(found):
    """They are related, but a model of the features predicts new customers as well."""
    rows = customers(1200, 4, lambda rng: None, 3)
    for row in rows:
        row["y"] = "yes" if row["a"] + row["b"] > 0 else "no"
    assert found(rows, "tabular_classification", input=list("abcde")) is None


def test_honest_texts_are_no_finding(found):
    assert found(honest_texts(), input="text") is None


def test_few_rows_and_random_labels_are_no_finding(found):
    assert found(families(120, 8, shuffled), input="text") is None
    draw = random.Random(0)
    rows = [{"text": sentence(draw, 10), "y": draw.choice(["yes", "no"])} for _ in range(400)]
    assert found(rows, input="text") is None


# --- the parts -----------------------------------------------------------------------------------------------------


def test_clusters_have_at_most_so_many_rows_and_keep_units_whole():
    features = RowFeatures.of([], {"a": list(np.random.default_rng(0).normal(size=300))}, ["a"])
    near, _ = neighbours(features)
    units = np.arange(300) // 3
    found = similar(near["numbers"], units, 12)
    assert np.bincount(found.label).max() <= 12
    assert all(len(set(found.label[units == unit])) == 1 for unit in range(100))


def test_a_column_groups_only_with_as_many_values_as_ids_have():
    units = np.arange(400)
    assert by_value("colour", codes_of(["red", "blue"] * 200), units) is None
    assert by_value("row", codes_of([str(i) for i in range(400)]), units) is None
    assert by_value("shop", codes_of([f"s{i % 50}" for i in range(400)]), units).count == 50
    gaps = codes_of([f"s{i % 50}" if i % 2 else "" for i in range(400)])
    assert by_value("shop", gaps, units).count == 25 + 200


def test_an_id_in_a_text_joins_those_that_share_it():
    texts = [f"hello order {i // 4 + 10_000} here" for i in range(400)]
    assert by_shared_id(texts, np.arange(400)).count == 100
    assert by_shared_id(["in 2024 we met"] * 400, np.arange(400)) is None


def test_a_strong_model_of_the_subject_is_compared_not_only_neighbours():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 6))
    labels = np.where(x.sum(axis=1) > 0, "yes", "no")
    columns = {f"c{j}": x[:, j].tolist() for j in range(6)}
    features = RowFeatures.of([], columns, list(columns))
    near, linear = neighbours(features)
    units = np.arange(600)
    guess = similar(near["numbers"], units, 16)
    (one,) = dependence([guess], near, linear, target_of(labels.tolist(), ("no", "yes")), units)
    assert one.plain > 0.9 and one.lost < 0.2 and not one.is_related


# --- what `rung plan` proposes -------------------------------------------------------------------------------------


def planned(tmp_path, rows):
    with (tmp_path / "t.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows(rows)
    return plan(tmp_path / "t.csv", data={"input": "text", "target": "y"}).yaml()


def test_a_plan_groups_by_the_column_that_tells_families_apart(tmp_path):
    written = planned(tmp_path, families(800, 8, shuffled))
    assert "\n  group: customer   # it tells families of related rows apart: a quick model reaches" in written


def test_a_plan_of_honest_rows_leaves_the_column_behind_a_mark(tmp_path):
    assert "\n  # group: customer   # it is called like an id" in planned(tmp_path, honest_texts())


def test_the_finding_is_accepted_by_its_name_alone(found):
    """Also where it is about a column: `accept` takes columns that the model reads, and families are no column."""
    finding = found(
        customers(800, 8, lambda rng: str(rng.choice(["yes", "no"]))),
        "tabular_classification",
        input=list("abcde"),
    )
    assert finding.key == "related_rows"
