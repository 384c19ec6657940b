"""A product whose rung is a tuned language model of random weights: built, certified, verified, asked again in a fresh process; the file that was scored is the one that ships."""

import json

import pytest

pytest.importorskip("peft")
pytest.importorskip("gguf")
pytest.importorskip("xllamacpp")

import rung  # noqa: E402
from support import run_cli, write_csv  # noqa: E402
from tiny_causal import tiny_causal  # noqa: E402

WORDS = {"kitchen": ["soup", "bread", "stew", "dough"], "sport": ["goal", "race", "team", "match"]}
PARAMS = "{{weights: '{weights}', epochs: 10, rank: 32, learning_rate: 0.01, patience: 0, bits: '16', text_tokens: 24}}"


@pytest.mark.slow
def test_it_is_built_and_ships_what_was_scored(tmp_path):
    weights = tiny_causal(tmp_path / "causal")
    rows = [(f"{WORDS[label][i % 4]} number {i}", label) for i in range(60) for label in WORDS]
    write_csv(tmp_path / "rows.csv", ["text", "label"], rows)
    spec = tmp_path / "product.yaml"
    spec.write_text(
        "name: queue\ntask: text_classification\ndata: {path: rows.csv, input: text, target: label, near_duplicates: keep}\n"
        "bar: {metric: accuracy, at_least: 0.8}\nbudget: {effort: 0, threads: 1}\n"
        f"ladder: [{{model: llm_lora, params: {PARAMS.format(weights=weights)}}}]\n",
        encoding="utf-8",
    )
    found = rung.build(spec)
    (trial,) = [t for t in found.report["trials"] if t["model"] == "llm_lora"]
    assert found.cleared and found.report["winner"] == "llm_lora", trial
    assert (
        trial["chosen"]["export_apart"] < 0.05
        and "train" in found.report["extras"]
        and "local-llm" in found.report["extras"]
    )
    assert run_cli("verify", found.bundle).returncode == 0
    assert len(list(found.bundle.rglob("model.gguf"))) == 1
    done = run_cli("predict", found.bundle, "--text", "soup number 400", "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["label"] == "kitchen", done.stdout
