"""Real builds that choose a network, in English and in Chinese, and serve it without torch."""

import json
import random
import subprocess
import sys

import pytest

import caches
import rung
from rung.core.spec.product import Located, Product
from rung.pages.report import render
from support import run_cli, write_csv

# Served in a process of its own: what a server installs has no torch.
SERVE = """
import json, sys
import rung
model = rung.load(sys.argv[1])
answers = [a.value for a in model.predict(json.load(sys.stdin))]
print(json.dumps([answers, sorted({"torch", "sklearn", "onnx"} & set(sys.modules))]))
"""


def build(folder, rows, model, params, bar):
    data = write_csv(folder / "rows.csv", ["text", "label"], rows)
    spec = {
        "name": "desk", "task": "text_classification", "data": {"path": str(data)},
        "bar": {"metric": "accuracy", "at_least": bar}, "budget": {"effort": 1, "threads": 1},
        "ladder": ["majority", {"model": model, "params": params}],
    }  # fmt: skip
    return rung.build(Located(Product.model_validate(spec), folder), run=folder / "run")


def served(bundle, texts):
    done = subprocess.run(
        [sys.executable, "-c", SERVE, str(bundle)],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_a_network_is_chosen_exported_and_served_in_chinese(tmp_path):
    """In English the page docs/howto/train-a-network.md is followed."""
    rows = random.Random(0).sample(caches.chinese_reviews(), 1_000)
    params = {"epochs": 6, "init": "random", "width": 64, "refit": False}
    found = build(tmp_path, rows, "mlp", params, 0.58)
    assert found.report["cleared"] and found.report["winner"] == "mlp"
    trial = next(t for t in found.report["trials"] if t["rung"] == "mlp")
    assert trial["chosen"]["init"] == "random"
    assert len(trial["training"]["loss"]) == len(trial["training"]["score"]) == 6
    assert trial["training"]["loss"][-1] < trial["training"]["loss"][0]
    (part,) = found.report["study"]["layers"]
    assert part["file"] == "model/model.onnx" and tuple(part["layers"][-1]["shape"]) == (1, 2)
    page = render(found.report, "zh")
    assert "网络的训练过程" in page and "网络的各层" in page and page.count("<polyline") >= 2
    texts = [text for text, _ in rows[:60]]
    answers, heavy = served(found.bundle, texts)
    assert heavy == []
    assert answers == [a.value for a in rung.load(found.bundle).predict(texts)]
    assert sum(a == label for a, (_, label) in zip(answers, rows, strict=False)) > 40
    assert not (tmp_path / "run" / "scratch").exists()


def test_an_ensemble_of_a_network_and_a_linear_model_is_chosen_and_served(tmp_path, news_rows, wordllama):
    rows = random.Random(0).sample(news_rows, 400)
    network = {"model": "mlp", "params": {"epochs": 8, "init": "static"}}
    found = build(tmp_path, rows, "ensemble", {"members": [{"model": "tfidf_linear"}, network]}, 0.6)
    assert found.report["cleared"] and found.report["winner"] == "ensemble"
    chosen = next(t for t in found.report["trials"] if t["rung"] == "ensemble")["chosen"]
    assert sum(chosen["weights"]) == pytest.approx(1.0, abs=1e-3)
    assert {*chosen["members"], *chosen["left_out"]} == {"tfidf_linear", "mlp"}
    texts = [text for text, _ in rows[:60]]
    answers, heavy = served(found.bundle, texts)
    assert heavy == [] and answers == [a.value for a in rung.load(found.bundle).predict(texts)]
    assert run_cli("verify", found.bundle).returncode == 0


# Sizes at which a build takes seconds, not minutes; the bar is one that chance does not clear.
_SHORT = {"epochs": 8, "batch_rows": 16, "max_tokens": 48, "hidden": 32, "refit": False}
SMALL = {
    "cnn_text": {**_SHORT, "learning_rate": 0.003},
    "lstm": {**_SHORT, "learning_rate": 0.005},
    "gru": {**_SHORT, "learning_rate": 0.005},
    "transformer": {**_SHORT, "learning_rate": 0.002, "hidden": 64, "layers": 1, "epochs": 10},
    "finetuned_encoder": {"epochs": 1, "train_tokens": 48, "max_tokens": 48},
    "fewshot_encoder": {"epochs": 1, "max_tokens": 48, "most_drawn": 200},
}


@pytest.mark.slow
@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("model", SMALL)
def test_every_network_is_chosen_exported_and_served(
    model, language, tmp_path, news_rows, wordllama, minilm, e5_small
):
    draw = random.Random(0)
    if language == "en":
        rows, bar = draw.sample(news_rows, 400), 0.5
    else:
        rows, bar = draw.sample(caches.chinese_reviews(), 1_200), 0.55
    params = dict(SMALL[model])
    if language == "zh" and "encoder" not in model:
        params |= {"init": "random", "width": 64}
    found = build(tmp_path, rows, model, params, bar)
    assert found.report["cleared"] and found.report["winner"] == model
    texts = [text for text, _ in rows[:40]]
    answers, heavy = served(found.bundle, texts)
    assert heavy == []
    assert answers == [a.value for a in rung.load(found.bundle).predict(texts)]
