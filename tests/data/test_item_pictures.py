"""Pictures of items: read beside the table, left out with their reason, and what carries an item that nobody had."""

import csv
import shutil

import numpy as np
import pytest
from test_event_table import SPEC, found_by, prepared

import rung
from rung.core.spec.product import parse_product
from rung.data.prepare.fingerprint import fingerprint_data
from rung.modalities.recommendation.catalogue import read_items
from support import write_csv

WITH_PICTURES = SPEC.replace("time: time}", "time: time, items: {path: items.csv, item: id, image: photo}}")
LADDER = """budget: {effort: 0, threads: 1}
ladder: [{model: content, params: {prior: 0.05}}]
"""
# Two kinds of stamps that nothing but their pictures tells apart.
KINDS = "animals", "symbols"


@pytest.fixture
def stamps(tmp_path, example_data):
    """Return the names of 24 pictures of each kind, copied beside the tables to be."""
    data = example_data("stamps")
    with (data / "stamps.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = {kind: [row["image"] for row in rows if row["category"] == kind][:24] for kind in KINDS}
    assert all(len(names) == 24 for names in found.values())
    (tmp_path / "stamps").mkdir()
    for name in (*found["animals"], *found["symbols"]):
        shutil.copy(data / name, tmp_path / name)
    return found


def likers(known):
    """Return events of 200 users, each of whom has pictures of one kind among the first 20."""
    rng = np.random.default_rng(0)
    return [
        (f"u{user}", known[KINDS[user % 2]][place], 1_000 + when)
        for user in range(200)
        for when, place in enumerate(rng.permutation(20)[:8])
    ]


def test_a_picture_that_cannot_be_used_is_counted_with_its_reason(tmp_path, stamps):
    first, second, third = stamps["animals"][:3]
    (tmp_path / "torn.png").write_bytes((tmp_path / third).read_bytes()[:60])
    outside = tmp_path / "product"
    outside.mkdir()
    shutil.move(tmp_path / "stamps", outside / "stamps")
    shutil.move(tmp_path / "torn.png", outside / "torn.png")
    (tmp_path / "secret.png").write_bytes(b"not yours")
    write_csv(outside / "items.csv", ["id", "photo"], [
        ("i1", first), ("i2", second), ("i3", "torn.png"), ("i4", "gone.png"), ("i5", "../secret.png"), ("i6", ""), ("i1", third),
    ])  # fmt: skip
    rows = [(f"u{u}", f"i{1 + (u + n) % 6}", 1_000 + n) for u in range(60) for n in range(4)]
    found = prepared(outside, rows, WITH_PICTURES)
    assert found.facts["items"] == {
        "items": 6, "left_out": {"repeated": 1}, "pictures": 2,
        "no_picture": {"unreadable": 1, "missing_file": 1, "outside_folder": 1, "empty_cell": 1},
    }  # fmt: skip
    one, two, *others = read_items(found.folder / "items.jsonl")
    assert one.image.read() == (outside / first).read_bytes() and two.image.measures["width"] > 0
    assert not any(item.image for item in others)
    finding = found_by("items_left_out", found.dataset, WITH_PICTURES, outside)
    assert finding.level == "warn" and finding.rows == 5 and "outside_folder 1" in finding.values["reasons"]


def test_another_picture_is_other_data(tmp_path, stamps):
    first, second = stamps["animals"][:2]
    write_csv(tmp_path / "items.csv", ["id", "photo"], [("i1", first)])
    write_csv(tmp_path / "events.csv", ["user", "item", "time"], [("u", "i1", 1)])
    product = parse_product(WITH_PICTURES)
    before = fingerprint_data(product, tmp_path)
    assert fingerprint_data(product, tmp_path) == before
    shutil.copy(tmp_path / second, tmp_path / first)
    assert fingerprint_data(product, tmp_path) != before


def test_an_item_that_nobody_had_is_suggested_by_its_picture(tmp_path, stamps, efficientnet_lite0):
    write_csv(
        tmp_path / "items.csv", ["id", "photo"], [(name, name) for kind in KINDS for name in stamps[kind]]
    )
    write_csv(tmp_path / "events.csv", ["user", "item", "time"], likers(stamps))
    (tmp_path / "product.yaml").write_text(
        WITH_PICTURES.replace("at_least: 0.0", "at_least: 0.02") + LADDER, encoding="utf-8"
    )
    built = rung.build(tmp_path / "product.yaml")
    model = rung.load(built.bundle)
    assert not list(built.bundle.rglob("*.png")), "pictures stay where they are"
    right, new = [], {kind: set(names[20:]) for kind, names in stamps.items()}
    for kind in KINDS:
        (answer,) = model.predict([{"history": stamps[kind][:10], "k": 38}])
        cold = [item for item in answer.value if item in new["animals"] | new["symbols"]]
        right += [item in new[kind] for item in cold[:4]]
    assert len(right) == 8 and np.mean(right) >= 0.75


def test_without_weights_the_rung_says_how_to_fetch_them(tmp_path, stamps, monkeypatch):
    monkeypatch.setenv("RUNG_CACHE", str(tmp_path / "empty"))
    write_csv(tmp_path / "items.csv", ["id", "photo"], [(name, name) for name in stamps["animals"]])
    write_csv(tmp_path / "events.csv", ["user", "item", "time"], likers(stamps))
    (tmp_path / "product.yaml").write_text(WITH_PICTURES + LADDER, encoding="utf-8")
    with pytest.raises(rung.RungError, match="rung weights fetch efficientnet_lite0"):
        rung.build(tmp_path / "product.yaml")
