"""Looks are not forgotten when the certified rows come back spelled otherwise, and honest data is left alone."""

import csv
import random

import numpy as np
import pytest

from rung.core import registry
from rung.core.certificate_lock import CertificateLock
from rung.core.messages import LANGUAGES
from rung.core.spec.product import Product
from rung.data.prepare.cast import with_inputs
from rung.data.prepare.prepare import prepare
from rung.pages.cautions import cautions

WORDS = [a + b + c for a in ("ba", "de", "fi", "go", "ku") for b in ("la", "mo", "ne", "pi") for c in
         ("rt", "sk", "lm", "nd", "pt", "st", "ck", "ng", "sh", "th")]  # fmt: skip


def texts(rows=300, seed=0):
    draw = random.Random(seed)
    return [{"text": " ".join(draw.choices(WORDS, k=12)), "y": draw.choice(["a", "b"])} for _ in range(rows)]


def numbers(rows=300, seed=0):
    rng = np.random.default_rng(seed)
    return [
        {f"c{j}": f"{cell:.5f}" for j, cell in enumerate(row)} | {"y": "ab"[i % 2]}
        for i, row in enumerate(rng.normal(size=(rows, 6)))
    ]


class World:
    """A folder with a lock. Each build prepares rows and takes a look at those that certify."""

    def __init__(self, folder):
        self.folder = folder
        self.lock = CertificateLock(folder / "certificate.lock")
        self.builds = 0

    def build(self, rows, task="text_classification", name="t.csv", look=True, **data):
        with (self.folder / name).open("w", newline="") as file:
            table = csv.DictWriter(file, rows[0])
            table.writeheader()
            table.writerows(rows)
        spec = {
            "task": task,
            "data": {"path": name, "target": "y", **data},
            "bar": {"metric": "accuracy", "at_least": 0.5},
        }
        product = Product.model_validate(spec)
        known = registry.task(task)
        product = with_inputs(product, self.folder, known)
        (self.folder / "data").mkdir(exist_ok=True)
        facts = prepare(product, self.folder, known, self.lock, self.folder / "data").facts
        import pyarrow.parquet as pq

        units = pq.read_table(self.folder / "data" / "certification.parquet")["unit"].to_pylist()
        self.builds += 1
        earlier = len(self.lock.earlier(units))
        if look:
            what = {"bundle": f"b{self.builds}", "bar": [], "content": "x"}
            record, _ = self.lock.take(units, what, lambda before: 0.05 / 2 ** (len(before) + 1))
            self.lock.settle(record["id"], "failed", (), 1)
        return facts["respelled"], earlier


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def marked_up(row):
    return row | {"text": row["text"].replace(" ", "<br> ", 3)}


def prefixed(row):
    return row | {"text": "Dear team, " + row["text"]}


def upper(row):
    return row | {"text": row["text"].title() + "!"}


@pytest.mark.parametrize("change", [marked_up, prefixed, upper], ids=lambda f: f.__name__)
def test_texts_spelled_otherwise_are_the_same_rows(world, change):
    assert world.build(texts()) == (None, 0)
    respelled, earlier = world.build([change(row) for row in texts()])
    if change in (upper, marked_up):
        assert (
            earlier == 1
        )  # Case, punctuation and markup are folded, or noticed: the look counts either way.
        return
    assert respelled["share"] > 0.8 and (respelled["looks"], earlier) == (1, 1)
    # And the next build of the same rows counts both looks.
    assert world.build([change(row) for row in texts()])[1] == 2


def rounded(row):
    return {name: cell if name == "y" else f"{float(cell):.3f}" for name, cell in row.items()}


def reordered(row):
    return dict(reversed(row.items()))


@pytest.mark.parametrize(
    "change", [rounded, lambda row: reordered(rounded(row))], ids=["rounded", "reordered"]
)
def test_numbers_rounded_are_the_same_rows(world, change):
    inputs = [f"c{j}" for j in range(6)]
    assert world.build(numbers(), "tabular_classification", input=inputs) == (None, 0)
    respelled, earlier = world.build(
        [change(row) for row in numbers()], "tabular_classification", "u.csv", input=inputs[::-1]
    )
    assert respelled["share"] > 0.6 and earlier == 1


def test_fresh_rows_of_the_same_source_are_new(world):
    world.build(texts())
    assert world.build(texts(seed=1), name="u.csv") == (None, 0)
    inputs = [f"c{j}" for j in range(6)]
    world.build(numbers(), "tabular_classification", "n.csv", input=inputs)
    assert world.build(numbers(seed=1), "tabular_classification", "m.csv", input=inputs) == (None, 0)


def test_data_that_grows_is_not_spelled_otherwise(world):
    world.build(texts())
    respelled, earlier = world.build(texts() + texts(200, seed=2))
    assert respelled is None and earlier == 1


def test_tables_of_few_values_say_nothing(world):
    draw = random.Random(0)
    rows = [
        {
            "a": draw.choice("uvw"),
            "b": draw.choice("xyz"),
            "c": str(i % 7),
            "d": str(i),
            "y": draw.choice("ab"),
        }
        for i in range(300)
    ]
    world.build(rows, "tabular_classification", input=["a", "b", "c", "d"])
    other = [row | {"d": str(1000 + i)} for i, row in enumerate(rows)]
    assert world.build(other, "tabular_classification", "u.csv", input=["a", "b", "c", "d"])[0] is None


def test_sketches_are_kept_small_and_a_lock_of_version_0_1_has_none(world):
    for seed in range(3):
        world.build(texts(700, seed), name=f"t{seed}.csv")
    sketches = world.lock.sketches()
    assert len(sketches) == 3 and all(len(sketch.rows) <= 512 for sketch in sketches)
    assert (world.folder / "certificate.lock").stat().st_size < 150_000
    empty = CertificateLock(world.folder / "other.lock")
    assert empty.sketches() == []


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_certificate_says_which_rows_it_speaks_of(lang):
    values = {"metric": "accuracy", "plain": "0.975", "clustered": "0.502", "clustered_bound": "0.463"}
    finding = {"check": "related_rows", "values": values}
    related, again = cautions({"respelled": {"share": 0.83, "looks": 2}}, [finding], lang)
    assert "0.975" in related and "0.502" in related and "0.463" in related
    assert "83%" in again and "2" in again
    assert cautions({"respelled": None}, [{"check": "leak_word", "values": {}}], lang) == []
    assert cautions({}, [], lang) == []
