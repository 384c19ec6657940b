"""A challenger that passed the gate answers live requests in shadow, is looked at, and serves after enough of them."""

import json
import random
import time

import rung
from rung.cleaning.pipeline import CleaningPipeline
from rung.core.spec.cleaning import PrivacySpec
from rung.journal.encryption import MASTER_KEY_VARIABLE, new_master_key
from rung.serving.promotion import history
from rung.workflows.improve import improve
from served_products import ask, remember, review_all, served
from support import run_cli, write_csv

SPEC = """name: news
task: text_classification
data: {path: news.csv, input: text, target: label}
bar: {metric: accuracy, at_least: 0.6}
budget: {effort: 0, threads: 1}
ladder: [tfidf_linear]
improve: {labels: [tech], audit_rows: 60, audit_share: 0.3, min_feedback: 30, margin: 0.2, shadow: {rows: 40}}
"""


def test_in_shadow_first(news_folder, tmp_path, monkeypatch):
    rows = {}
    for path in sorted(news_folder.glob("*/*.txt")):
        rows[" ".join(path.read_bytes().decode("utf-8", "replace").split())[:300]] = path.parent.name
    rows = random.Random(0).sample(sorted(rows.items()), len(rows))
    old, new = [row for row in rows if row[1] != "tech"], [row for row in rows if row[1] == "tech"]
    write_csv(tmp_path / "news.csv", ["text", "label"], old[:500])
    spec = tmp_path / "product.yaml"
    spec.write_text(SPEC, encoding="utf-8")
    master = new_master_key()
    monkeypatch.setenv(MASTER_KEY_VARIABLE, master)
    first = rung.build(spec)
    assert first.cleared
    traffic = random.Random(1).sample(old[500:750] + new[:150], 400)
    mend = CleaningPipeline.from_spec(None, PrivacySpec()).clean_text
    truth = {mend(text): label for text, label in traffic}
    remember(tmp_path / "service", first.bundle, [{"text": text} for text, _ in traffic], None)
    review_all(spec, lambda cells: truth[cells["text"]], most=260)
    found = improve(spec, who="Ann", lang="en")
    assert found.verdict == "shadowed", found.reasons
    with served(spec, master) as (address, env):
        before = ask(address, "/v1/models/news/predict", {"inputs": {"text": "a"}})["version"]
        assert before == rung.load(first.bundle).manifest.version, "the champion goes on to answer"
        waits = json.loads(run_cli("improve", spec, "--json", env=env).stdout)
        assert waits["verdict"] == "waiting" and waits["reasons"][0]["key"] == "shadow_waits"
        until = time.monotonic() + 240
        while waits["shadow"]["rows"] < 40:
            assert time.monotonic() < until
            texts = [{"text": text} for text, _ in random.sample(traffic, 20)]
            assert ask(address, "/v1/models/news/predict", {"inputs": texts})["version"] == before
            waits = json.loads(run_cli("improve", spec, "--status", "--json", env=env).stdout)
        told = run_cli("improve", spec, "--status", env=env).stdout
        assert "in shadow since" in told and "without an error" in told and "is now the champion" not in told
        done = run_cli("improve", spec, "--by", "Bo", env=env)
        assert done.returncode == 0 and "Promoted:" in done.stdout, done.stdout + done.stderr
        until = time.monotonic() + 60
        while ask(address, "/v1/models/news/predict", {"inputs": {"text": "a"}})["version"] == before:
            assert time.monotonic() < until
    began, ended = history(tmp_path / "service", "news")
    assert (began.action, began.who, ended.action, ended.who) == ("shadow", "Ann", "promote", "Bo")
    assert (
        began.version == ended.version and "In shadow it predicted" in ended.why and "audit rows" in ended.why
    )
