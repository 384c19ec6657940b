"""A ladder that lacks weights says so first, offers to fetch them, and is climbed with them where that is wanted."""

import json

import rung
from rung.building import offer_weights
from support import run_cli

SPEC = """name: desk
task: text_classification
data: {{path: {path}, input: text, target: label}}
bar: {{metric: accuracy, at_least: 0.6}}
budget: {{effort: 0, threads: 1}}
"""


def write_spec(folder, data):
    path = folder / "product.yaml"
    path.write_text(SPEC.format(path=data), encoding="utf-8")
    return path


def events(folder, kind):
    lines = (folder / "events.jsonl").read_text(encoding="utf-8").splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == kind]


def test_what_lacks_weights_is_offered_with_size_and_licence(news_csv, tmp_path, monkeypatch):
    monkeypatch.setenv("RUNG_CACHE", str(tmp_path / "cache"))
    asked = []
    monkeypatch.setattr(offer_weights, "fetch", lambda name: asked.append(name))
    spec = write_spec(tmp_path, news_csv)
    done = rung.build(spec)
    (told,) = events(done.folder, "weights")
    by_name = {item["name"]: item for item in told["missing"]}
    assert by_name["minilm"]["size_mb"] > 50 and by_name["minilm"]["licence"] == "Apache-2.0"
    assert "frozen_encoder" in by_name["minilm"]["rungs"] and not asked
    lines = (done.folder / "events.jsonl").read_text(encoding="utf-8").splitlines()
    kinds = [json.loads(line)["event"] for line in lines]
    assert kinds.index("weights") < kinds.index("ladder")
    offered = []
    rung.build(
        spec, run=tmp_path / "asked", fetch=lambda missing: bool(offered.append([o.name for o in missing]))
    )
    assert offered == [[item["name"] for item in told["missing"]]] and not asked
    # A fetch that brings nothing is tried once, and the ladder stays as it is.
    rung.build(spec, run=tmp_path / "again", fetch=True)
    assert sorted(asked) == sorted(set(asked)) and set(by_name) <= set(asked)


def test_the_terminal_says_it_and_does_not_ask_where_nobody_sits(news_csv, tmp_path, monkeypatch):
    monkeypatch.setenv("RUNG_CACHE", str(tmp_path / "cache"))
    spec = write_spec(tmp_path, news_csv)
    said = run_cli("build", spec, "--lang", "en")
    assert said.returncode == 0, said.stderr
    assert (
        "rung weights fetch minilm" in said.stderr
        and "Apache-2.0" in said.stderr
        and "Fetch them" not in said.stderr
    )
