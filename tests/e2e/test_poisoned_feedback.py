"""One hostile author with 30 % of the feedback cannot push a worse model through: the limits stop it, and without them the gate does."""

import json
import random

import pytest

import rung
from rung.cleaning.pipeline import CleaningPipeline
from rung.core.spec.cleaning import PrivacySpec
from rung.serving.bundle_source import read_champion
from rung.serving.promotion import history
from rung.workflows.improve import improve
from served_products import remember, review_all, say_so
from support import write_csv

# Of some 390 texts the audit draws 117 by a key nobody knows: fewer than 70 in less than one run of a million.
SPEC = """name: news
task: text_classification
data: {path: news.csv, input: text, target: label}
bar: {metric: accuracy, at_least: 0.6}
budget: {effort: 1, threads: 1}
ladder: [majority, tfidf_linear]
serve: {inputs: plain}
improve: {audit_rows: 70, audit_share: 0.3, min_feedback: 40, margin: 0.05%s}
"""
MEND = CleaningPipeline.from_spec(None, PrivacySpec()).clean_text


@pytest.fixture(scope="module")
def rows(news_rows):
    found = sorted(set(news_rows))
    random.Random(0).shuffle(found)
    return found


def place(folder, rows, limits=""):
    """A product built on 200 rows, whose other rows have been served; return (spec, first bundle, traffic, ids)."""
    write_csv(folder / "news.csv", ["text", "label"], rows[:200])
    spec = folder / "product.yaml"
    spec.write_text(SPEC % limits, encoding="utf-8")
    first = rung.build(spec)
    assert first.cleared
    traffic = rows[200:]
    ids = remember(folder / "service", first.bundle, [{"text": text} for text, _ in traffic])
    return spec, first.bundle, traffic, ids


def attack(traffic, ids):
    """30 % of the feedback, from one author: politics and business are sport. The rest, of several authors, is true."""
    target = next(label for label in {label for _, label in traffic} if label.startswith("sport"))
    pairs = list(zip(ids, traffic, strict=True))
    victims = [(id, label) for id, (_, label) in pairs if label in {"politics", "business"}][:100]
    hit = {id for id, _ in victims}
    honest = [(id, label) for id, (_, label) in pairs if id not in hit][:230]
    said = [(id, target, "user", "mallory") for id, _ in victims]
    return said + [(id, label, "user", f"user-{n % 5}") for n, (id, label) in enumerate(honest)]


def truth_of(traffic):
    known = {MEND(text): label for text, label in traffic}
    return lambda cells: known[cells["text"]]


def test_limits_put_most_of_it_aside(rows, tmp_path):
    spec, bundle, traffic, ids = place(tmp_path, rows, ", author_share: 0.2, sure: 0.5")
    said = attack(traffic, ids)
    assert sum(who == "mallory" for *_, who in said) / len(said) > 0.3
    say_so(tmp_path / "service", said)
    found = improve(spec, dry=True)
    aside = found.facts["aside"]
    assert aside["outlier"] > 30, "what one user says against a sure model waits for another who agrees"
    review_all(spec, truth_of(traffic), only_audit=True)
    found = improve(spec)
    assert found.verdict in {"promoted", "kept"}
    lines = (found.build.folder.parent / "provenance.jsonl").read_text().splitlines()
    learned = [line for line in map(json.loads, lines) if not line["aside"]]
    share = sum(line["authors"] == ["mallory"] for line in learned) / len(learned)
    assert share <= 0.2 and {line["aside"] for line in map(json.loads, lines)} >= {"outlier", "certifies"}


def test_without_limits_the_gate_keeps_the_worse_model_out(rows, tmp_path):
    spec, bundle, traffic, ids = place(tmp_path, rows, ", author_share: 1.0, sure: 1.0")
    say_so(tmp_path / "service", attack(traffic, ids))
    review_all(spec, truth_of(traffic), only_audit=True)
    found = improve(spec)
    lines = map(json.loads, (found.build.folder.parent / "provenance.jsonl").read_text().splitlines())
    learned = [line for line in lines if not line["aside"]]
    assert sum(line["authors"] == ["mallory"] for line in learned) > 0.25 * len(learned), (
        "the poison was learned"
    )
    challenger, before = rung.load(found.build.bundle), rung.load(bundle)
    test = [row for row in traffic if row[1] in {"politics", "business"}]
    right = [
        sum(
            p.value == label
            for p, (_, label) in zip(m.predict([{"text": t} for t, _ in test]), test, strict=True)
        )
        for m in (before, challenger)
    ]
    assert right[1] < right[0] - 0.1 * len(test), "and made a worse model"
    assert found.verdict == "kept" and read_champion(tmp_path / "service", "news") is None
    (line,) = history(tmp_path / "service")
    assert line.action == "kept" and line.who == "rung improve"
