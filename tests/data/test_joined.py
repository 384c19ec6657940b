"""Joined rows: feedback trains and never certifies, audited rows certify and never train, nothing of the product's changes sides."""

import json

import numpy as np
import pytest

from rung.core import registry
from rung.core.certificate_lock import CertificateLock
from rung.core.spec.improve import JoinedSpec
from rung.core.spec.product import parse_product
from rung.data.prepare.fingerprint import fingerprint_data
from rung.data.prepare.hashing import hash64
from rung.data.prepare.parquet import read_examples
from rung.data.prepare.prepare import prepare

SPEC = """name: desk
task: text_classification
data: {path: rows.csv, input: text, target: label}
bar: {metric: accuracy, at_least: 0.7}
certify: {fraction: 0.3}
"""
TASK = registry.task("text_classification")


def lines(path, rows):
    path.write_text(
        "".join(json.dumps({"text": t, "label": label}) + "\n" for t, label in rows), encoding="utf-8"
    )


@pytest.fixture
def place(tmp_path, rows, table):
    (tmp_path / "rows.csv").write_text(table, encoding="utf-8")
    product = parse_product(SPEC)
    lock = CertificateLock(tmp_path / "certificate.lock")
    plain = prepared(product, tmp_path, lock, "plain")

    def join(feedback, audit, name="joined"):
        lines(tmp_path / f"{name}-feedback.jsonl", feedback)
        lines(tmp_path / f"{name}-audit.jsonl", audit)
        spec = JoinedSpec(feedback=f"{name}-feedback.jsonl", audit=f"{name}-audit.jsonl")
        joined = product.model_copy(update={"joined": spec})
        return joined, prepared(joined, tmp_path, lock, name)

    return product, lock, plain, join


def prepared(product, base, lock, name):
    folder = base / name
    folder.mkdir()
    data = prepare(product, base, TASK, lock, folder)
    return {t: dict(zip(e.inputs["text"], e.targets, strict=True)) for t in ("train", "certification", "held") for e in [read_examples(data, t)]} | {
        "data": data
    }  # fmt: skip


def texts(begin, count):
    return [
        f"served text {i} about {'ships' if i % 2 else 'trees'} 服务" for i in range(begin, begin + count)
    ]


def below(text, share=0.3):
    return hash64(TASK.dedup_key({"text": text})) < share * 2.0**64


def test_each_row_has_its_side(place):
    product, lock, plain, join = place
    feedback = [(t, "sea") for t in texts(0, 60)]
    audit = [(t, "land") for t in texts(1_000, 40)]
    joined, found = join(feedback, audit)
    assert found["held"] == plain["certification"], "what certified before is held, row by row"
    assert found["certification"] == dict(audit)
    learned = set(found["train"]) - set(plain["train"])
    assert learned == {t for t, _ in feedback if not below(t)}, (
        "by its hash a text would certify: it does not train"
    )
    assert set(plain["train"]) <= set(found["train"])
    assert found["data"].facts["joined"] == {"feedback": len(learned), "held": len(plain["certification"])}
    assert (
        product.fingerprint() != joined.fingerprint()
        and product.fingerprint() == parse_product(SPEC).fingerprint()
    )


def test_feedback_on_what_certifies_or_stands_in_the_data_does_not_train(place):
    _, lock, plain, join = place
    fresh = [t for t in texts(0, 80) if not below(t)]
    old, known = next(iter(plain["certification"])), next(iter(plain["train"]))
    audit = [(t, "sea") for t in texts(1_000, 30)]
    feedback = [(t, "air") for t in [*fresh[:20], old, known, audit[0][0]]]
    _, found = join(feedback, audit)
    assert set(found["train"]) - set(plain["train"]) == set(fresh[:20])
    assert found["train"][known] == plain["train"][known], "the data has the word on its own texts"
    assert "air" not in found["held"].values() and found["certification"][audit[0][0]] == "sea"


def test_an_audited_text_that_trained_or_stands_in_the_data_does_not_certify(place):
    _, lock, plain, join = place
    known, old = next(iter(plain["train"])), next(iter(plain["certification"]))
    audit = texts(1_000, 30)
    lock.remember_trained(np.array([hash64(TASK.dedup_key({"text": audit[3]}))], np.uint64))
    _, found = join([(t, "sea") for t in texts(0, 60)], [(t, "sea") for t in [*audit, known, old]])
    assert set(found["certification"]) == set(audit) - {audit[3]}


def test_what_was_looked_at_never_trains_and_what_was_learned_never_certifies(place):
    _, lock, plain, join = place
    audit = texts(1_000, 30)
    join([(t, "sea") for t in texts(0, 40)], [(t, "sea") for t in audit])
    units = [f"{hash64(TASK.dedup_key({'text': t})):016x}" for t in audit]
    lock.take(units, {"bundle": "b", "bar": [], "content": "c"}, lambda before: 0.025)
    _, later = join(
        [(t, "sea") for t in [*audit, *texts(0, 40)]],
        [(t, "sea") for t in [*texts(2_000, 20), *texts(0, 5)]],
        "later",
    )
    assert not set(audit) & set(later["train"])
    trained = {t for t in texts(0, 5) if not below(t)}
    assert not trained & set(later["certification"]) and set(texts(2_000, 20)) <= set(later["certification"])


def test_other_feedback_is_another_run(place, tmp_path):
    product, _, _, join = place
    one, _ = join([(t, "sea") for t in texts(0, 40)], [(t, "sea") for t in texts(1_000, 30)])
    before = fingerprint_data(one, tmp_path)
    assert before != fingerprint_data(product, tmp_path)
    lines(tmp_path / "joined-feedback.jsonl", [(t, "land") for t in texts(0, 40)])
    assert fingerprint_data(one, tmp_path) != before
