"""News in the round: built, served, a class nobody trained on arrives, it is reviewed over HTTP, learned, promoted, rolled back."""

import json
import random

import pytest

import rung
from rung.cleaning.pipeline import CleaningPipeline
from rung.core.spec.cleaning import PrivacySpec
from rung.serving.http.api_keys import KeyStore
from served_products import answer_page, ask, reviewing, served
from support import run_cli, write_csv
from waiting import wait_until

SPEC = """name: news
task: text_classification
data: {path: news.csv, input: text, target: label}
bar: {metric: accuracy, at_least: 0.7}
budget: {effort: 1, threads: 1}
ladder: [majority, tfidf_linear]
improve: {labels: [tech], audit_rows: 100, audit_share: 0.3, min_feedback: 50, margin: 0.1}
"""


@pytest.fixture(scope="module")
def articles(news_folder):
    rows = []
    for folder in sorted(p for p in news_folder.iterdir() if p.is_dir()):
        for path in sorted(folder.glob("*.txt")):
            text = " ".join(path.read_bytes().decode("utf-8", "replace").split())[:400]
            rows.append((text, folder.name))
    rows = sorted(set(rows))
    random.Random(0).shuffle(rows)
    return rows


def ask_until(address, texts, key, wanted):
    """Return the first reply of a version that is wanted: a running server follows a change a little later."""
    replies = []

    def asked():
        replies.append(ask(address, "/v1/models/news/predict", {"inputs": texts}, key))
        return wanted(replies[-1]["version"]) and replies[-1]

    return wait_until(asked, lambda: f"another version than {replies[-1]['version']}", pause=0.05, seconds=60)


def test_the_circle_closes(articles, tmp_path):
    old = [row for row in articles if row[1] != "tech"]
    write_csv(tmp_path / "news.csv", ["text", "label"], old[:1100])
    spec = tmp_path / "product.yaml"
    spec.write_text(SPEC, encoding="utf-8")
    first = rung.build(spec)
    assert first.cleared and "tech" not in rung.load(first.bundle).schema.labels
    traffic = old[1100:1500] + [row for row in articles if row[1] == "tech"][:250]
    random.Random(1).shuffle(traffic)
    # People are shown texts as the model reads them.
    mend = CleaningPipeline.from_spec(None, PrivacySpec()).clean_text
    truth = {mend(text): label for text, label in traffic}
    with served(spec) as (address, env):
        folder = tmp_path / "service"
        shop = KeyStore(folder).create("shop", "predict")[1]
        ann = KeyStore(folder).create("ann", "review")[1]
        ids = []
        for text, _ in traffic:
            reply = ask(address, "/v1/models/news/predict", {"inputs": {"text": text}}, shop)
            ids.append(reply["predictions"][0]["id"])
        before = reply["version"]
        for id, (_, label) in list(zip(ids, traffic, strict=True))[:40]:
            ask(address, "/v1/feedback", {"prediction": id, "answer": label}, shop)
        waits = run_cli("improve", spec, "--json", env=env)
        assert waits.returncode == 0, waits.stderr
        told = json.loads(waits.stdout)
        assert told["verdict"] == "waiting" and told["run"] is None
        assert {"few", "no_audit"} >= {reason["key"] for reason in told["reasons"]} != set()
        with reviewing(spec, env) as page:
            with pytest.raises(AssertionError, match="may not review"):
                ask(page, "/next", {"by": shop})
            asked, progress = answer_page(page, ann, lambda cells: truth[cells["text"]], 400)
        assert progress["audit"]["whole"]
        assert 0 < sum(not guess for _, guess in asked) < len(asked), "audit rows come blind, others do not"
        done = run_cli("improve", spec, "--by", "Ann", env=env)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Promoted:" in done.stdout and "(reused)" in done.stdout
        files = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
        kept = [text for text, _ in traffic if any(text[60:120].encode() in content for content in files)]
        assert kept == [], "what people sent is in the journal alone, encrypted"
        assert (folder / "improve" / "001" / "run" / "report.html").is_file()
        texts = [{"text": text} for text, label in traffic if label == "tech"]
        reply = ask_until(address, texts, shop, lambda version: version != before)
        assert reply["certified"]
        right = sum(one["label"] == "tech" for one in reply["predictions"]) / len(texts)
        assert right > 0.8, "it knows the class that nobody had trained on"
        back = run_cli("rollback", spec, "--why", "only a test", env=env)
        assert back.returncode == 0, back.stderr
        ask_until(address, texts[:1], shop, lambda version: version == before)
    told = json.loads(run_cli("history", spec, "--json").stdout)
    assert [(line["action"], line["who"]) for line in told] == [
        ("promote", "Ann"),
        ("rollback", told[1]["who"]),
    ]
