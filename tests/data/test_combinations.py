"""What mending, labelling, corrections, tables and privacy owe each other when a product has several of them."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path

import numpy as np
import pytest

from rung.core import registry
from rung.core.certificate_lock import CertificateLock
from rung.core.spec.product import load_product
from rung.data.labels.audit_sample import AUDIT
from rung.data.labels.pool import read_pool
from rung.data.prepare.prepare import prepare
from rung.workflows import check

WORDS = [
    "alpha",
    "beta",
    "gamma",
    "delta",
    "eps",
    "zeta",
    "eta",
    "theta",
    "iota",
    "kappa",
    "lam",
    "mu",
    "nu",
    "xi",
]


def world(folder: Path, header: list[str], rows: list[list[str]], spec: str):
    with (folder / "d.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    (folder / "product.yaml").write_text(spec, encoding="utf-8")
    product, base = load_product(folder / "product.yaml")
    return product, base, registry.task(product.task), CertificateLock(folder / "certificate.lock")


def prepared(folder: Path, product, base, task, lock):
    (folder / "data").mkdir(exist_ok=True)
    return prepare(product, base, task, lock, folder / "data")


@pytest.mark.parametrize("twin", ["of another customer", "that mends to the same"])
def test_a_text_that_certifies_anywhere_is_asked_about_without_a_guess(tmp_path, twin):
    draw = random.Random(0)
    texts = [" ".join(draw.choice(WORDS) for _ in range(5)) for _ in range(300)]
    groups = twin == "of another customer"
    rows = [[text, f"c{i}" if groups else ""] for i, text in enumerate(texts)]
    rows += [[texts[i], f"x{i}"] if groups else [f"<p>{texts[i]}</p>", ""] for i in range(0, 300, 3)]
    product, base, task, lock = world(
        tmp_path,
        ["text", "g"],
        rows,
        "name: t\ntask: text_classification\ndata: {path: d.csv, target: y"
        + (", group: g" if groups else "")
        + "}\nbar: {metric: accuracy, at_least: 0.6}\nlabelling:\n  labels: {a: A, b: B}\n",
    )
    pool = read_pool(product, base, task, lock)
    border = pool.zones.audit * 2.0**64
    from rung.data.prepare.hashing import hash64

    strictest: dict[str, int] = {}
    for text, group in rows:
        mended = text.removeprefix("<p>").removesuffix("</p>")
        unit = hash64(f"group:{group}") if group else hash64(task.dedup_key({"text": text}))
        strictest[mended] = min(unit, strictest.get(mended, 1 << 64))
    certifies = {text for text, unit in strictest.items() if unit < border}
    asked = {row.cells["text"] for row in pool.rows if row.zone == AUDIT}
    assert certifies and asked == certifies


def test_a_row_whose_cells_are_all_missing_once_read_is_left_out(tmp_path):
    draw = random.Random(0)
    rows = [[f"{draw.gauss(0, 1):.3f}", f"{draw.gauss(0, 1):.3f}", "ab"[i % 2]] for i in range(300)]
    rows[7][:2] = rows[11][:2] = ["unknown", "-"]
    found = world(
        tmp_path,
        ["a", "b", "y"],
        rows,
        "name: t\ntask: tabular_classification\ndata: {path: d.csv, input: [a, b], target: y}\n"
        "bar: {metric: roc_auc, at_least: 0.6}\n",
    )
    dataset = prepared(tmp_path, *found)
    assert dataset.facts["used"] == 298
    left = [json.loads(line) for line in (tmp_path / "data" / "quarantine.jsonl").read_text().splitlines()]
    # Both ask the same, so that the second is a copy of the first.
    assert {row["reason"] for row in left} <= {"empty_input", "duplicate", "contradictory_labels"}


def test_corrections_of_tables_reach_their_rows(tmp_path):
    pytest.importorskip("sklearn", reason="fitting needs rung[build]")
    draw = random.Random(0)
    rows = []
    for _ in range(600):
        weight = draw.gauss(70, 10)
        label = ("lo", "hi")[(weight > 70) ^ (draw.random() < 0.06)]
        day = f"{draw.randint(1, 28):02d}/{draw.randint(1, 12):02d}/2024"
        rows.append([f"{weight:.2f} kg", day, f"{draw.gauss(0, 1):.3f}", label])
    spec = (
        "name: t\ntask: tabular_classification\ndata: {path: d.csv, target: y%s}\n"
        "bar: {metric: roc_auc, at_least: 0.6}\nbudget: {effort: 0, threads: 1}\n"
    )
    world(tmp_path, ["weight", "since", "z", "y"], rows, spec % "")
    path = tmp_path / "product.yaml"
    check.write_findings(check.check(path, labels=True), tmp_path)
    done = check.correct(path, tmp_path / "labels.csv", accept=True)
    assert done.rows > 5
    path.write_text(spec % ", input: [weight, since, z], corrections: corrections.csv", encoding="utf-8")
    product, base = load_product(path)
    dataset = prepared(
        tmp_path, product, base, registry.task(product.task), CertificateLock(base / "certificate.lock")
    )
    assert dataset.facts["corrected"] >= done.rows


def test_unlabelled_rows_are_held_against_training_rows_as_mended(tmp_path):
    draw = random.Random(0)
    rows = []
    for i in range(900):
        text = " ".join(draw.choice(WORDS) for _ in range(7))
        rows.append(
            [f"<p>{text} mail boss@corp.com or 13800138000</p>", "" if i % 3 == 0 else "ab"["alpha" in text]]
        )
    world(
        tmp_path,
        ["text", "y"],
        rows,
        "name: t\ntask: text_classification\ndata: {path: d.csv, target: y}\nprivacy: {mask: all}\n"
        "bar: {metric: accuracy, at_least: 0.6}\n",
    )
    found = check.check(tmp_path / "product.yaml").as_dict()
    assert "sides_differ" not in {finding["check"] for finding in found["findings"]}
    assert "13800138000" not in json.dumps(found) and "boss" not in json.dumps(found)


def test_no_example_of_mending_shows_personal_data(tmp_path):
    draw = random.Random(0)
    rows = []
    for i in range(300):
        text = " ".join(draw.choice(WORDS) for _ in range(7))
        tail = "zhang&#64;example.com" if i % 2 else "&amp; more"
        rows.append([f"<b>{text}</b> {tail}", "ab"["alpha" in text]])
    found = world(
        tmp_path,
        ["text", "y"],
        rows,
        "name: t\ntask: text_classification\ndata: {path: d.csv, target: y}\nprivacy: {mask: [email]}\n"
        "bar: {metric: accuracy, at_least: 0.6}\n",
    )
    facts = json.dumps(prepared(tmp_path, *found).facts["clean"])
    assert "zhang" not in facts and "more" in facts


def test_numbers_too_large_for_any_column_are_missing_not_a_crash():
    from rung.modalities.tables.numbers import parse_number

    assert parse_number(10**400) is None
    assert np.isfinite(parse_number("1e300") or 0.0)
