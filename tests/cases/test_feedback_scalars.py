"""Feedback with JSON true and false counts as feedback with the words does: built, served, answered, learned from."""

import random
import shutil

import pytest

import rung
from case_products import HERE
from rung.journal.encryption import MASTER_KEY_VARIABLE, new_master_key
from rung.workflows.improve import improve
from served_products import ask, served
from support import run_cli

SPEC = """name: spam
task: text_classification
data: {path: spam.csv, input: text, target: spam}
bar: {metric: accuracy, at_least: 0.6}
budget: {effort: 0, threads: 1}
ladder: [{model: tfidf_linear}]
improve: {min_feedback: 20}
serve: {inputs: plain}
"""
WORDS = {
    "true": ["win", "free", "prize", "cash", "click", "offer", "urgent", "claim", "bonus", "winner"],
    "false": [
        "meeting",
        "report",
        "lunch",
        "tomorrow",
        "notes",
        "agenda",
        "project",
        "review",
        "team",
        "call",
    ],
}
PEOPLE = 40


@pytest.fixture(scope="module")
def product(tmp_path_factory):
    folder = tmp_path_factory.mktemp("spam")
    shutil.copyfile(HERE / "spam.csv", folder / "spam.csv")
    (folder / "product.yaml").write_text(SPEC)
    assert rung.build(folder / "product.yaml").cleared
    return folder


def improvable(product, folder, said, master, with_key):
    """Serve a copy of the product, send what `said` makes of each true label, and return what an improvement would learn."""
    shutil.copytree(product, folder)
    key = None
    if with_key:
        added = run_cli("keys", "create", "shop", "--role", "predict", "--folder", folder / "service")
        key = added.stdout.split()[0]
    draw = random.Random(9)
    with served(folder / "product.yaml", master) as (address, _):
        for _ in range(PEOPLE):
            label = draw.choice(["true", "false"])
            text = " ".join(draw.choice(WORDS[label]) for _ in range(7))
            body = {"inputs": {"text": text}}
            (answer,) = ask(address, "/v1/models/spam/predict", body, key)["predictions"]
            ask(address, "/v1/feedback", {"prediction": answer["id"], "answer": said(label)}, key)
    return improve(folder / "product.yaml", dry=True).facts


@pytest.mark.parametrize("with_key", [False, True], ids=["reviewers", "users"])
def test_json_booleans_count_as_the_words_do(product, tmp_path, monkeypatch, with_key):
    master = new_master_key()
    monkeypatch.setenv(MASTER_KEY_VARIABLE, master)
    words = improvable(product, tmp_path / "words", str, master, with_key)
    booleans = improvable(product, tmp_path / "booleans", lambda label: label == "true", master, with_key)
    for facts in (words, booleans):
        # What may certify does not train; every answer is counted.
        assert facts["accepted"] >= 22 and set(facts["aside"]) == {"certifies"}
        assert facts["accepted"] + facts["aside"]["certifies"] == PEOPLE
