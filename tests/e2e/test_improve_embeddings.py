"""Embeddings of served inputs do not outlive the improvement that learned from them: no cache keeps a vector, nor a key to guess by."""

import random

import pytest

import rung
from rung.improvement import input_copies
from rung.runtime.weights.store import cache_folder
from rung.workflows.improve import improve
from served_products import remember, review_all, say_so
from support import write_csv

SPEC = """name: mail
task: text_classification
data: {path: mail.csv, input: text, target: label}
bar: {metric: accuracy, at_least: 0.5}
budget: {effort: 0, threads: 1}
ladder: [{model: frozen_encoder, params: {weights: minilm, pool_chunks: false}}]
serve: {inputs: plain}
improve: {audit_rows: 20, audit_share: 0.3, min_feedback: 20, margin: 0.5}
"""
WORDS = {
    "spam": ["win", "free", "prize", "cash", "click", "offer", "urgent", "claim", "bonus"],
    "work": ["meeting", "report", "lunch", "notes", "agenda", "project", "review", "team"],
}


def mails(n, seed):
    draw = random.Random(seed)
    labels = [draw.choice(sorted(WORDS)) for _ in range(n)]
    return [
        (" ".join([*(draw.choice(WORDS[label]) for _ in range(4)), f"no{seed}{i}"]), label)
        for i, label in enumerate(labels)
    ]


def kept():
    """Return the size of each file of the cache that all builds share."""
    return {file.name: file.stat().st_size for file in (cache_folder() / "embeddings").glob("*.emb")}


@pytest.mark.usefixtures("minilm")
def test_an_improvement_leaves_no_embedding_of_what_was_served(tmp_path, monkeypatch):
    own, traffic = mails(160, 1), mails(130, 2)
    write_csv(tmp_path / "mail.csv", ["text", "label"], own)
    spec = tmp_path / "product.yaml"
    spec.write_text(SPEC, encoding="utf-8")
    first = rung.build(spec)
    ids = remember(tmp_path / "service", first.bundle, [{"text": text} for text, _ in traffic])
    truth = dict(traffic)
    say_so(
        tmp_path / "service",
        [(id, truth[text], "user", "ann") for id, (text, _) in zip(ids, traffic, strict=True)],
    )
    review_all(spec, lambda cells: truth[cells["text"]], only_audit=True)
    made, before = [], kept()
    assert sum(before.values()) > 100_000

    def seen(folder):
        made.extend(path.stat().st_size for path in (folder / "run" / "embeddings").glob("*.emb"))
        input_copies.remove_input_copies(folder)

    monkeypatch.setattr("rung.workflows.improve.remove_input_copies", seen)
    done = improve(spec)
    assert done.build is not None and done.verdict in {"promoted", "kept"}
    assert made and max(made) > 10_000, "they were kept for the time of the improvement"
    assert not list(tmp_path.rglob("*.emb"))
    assert kept() == before, "the cache of all builds has the vectors of the product's own rows"
