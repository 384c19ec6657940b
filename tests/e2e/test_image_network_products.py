"""Real builds that choose an image network, and serve it without torch."""

import json
import subprocess
import sys

import pytest

import caches
import rung
from rung.core.errors import RungError
from rung.core.spec.product import Located, Product
from rung.modalities.images.png import write_png

# Served in a process of its own: what a server installs has no torch.
SERVE = """
import json, sys
from pathlib import Path
import rung
model = rung.load(sys.argv[1])
answers = [a.value for a in model.predict([Path(p) for p in json.load(sys.stdin)])]
print(json.dumps([answers, sorted({"torch", "sklearn", "onnx"} & set(sys.modules)), model.selftest()]))
"""


def build(folder, model, params, count, bar):
    images, labels = caches.garments(count)
    for number, (pixels, label) in enumerate(zip(images, labels, strict=True)):
        path = folder / "data" / label / f"{number:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(write_png(pixels))
    spec = {
        "name": "garments", "task": "image_classification", "data": {"path": "data"},
        "bar": {"metric": "accuracy", "at_least": bar}, "budget": {"effort": 1, "threads": 1},
        "ladder": ["majority", {"model": model, "params": params}],
    }  # fmt: skip
    return rung.build(Located(Product.model_validate(spec), folder), run=folder / "run")


def is_served_as_trained(found, folder):
    paths = sorted((folder / "data").glob("*/*.png"))[::7]
    done = subprocess.run(
        [sys.executable, "-c", SERVE, str(found.bundle)],
        input=json.dumps([str(path) for path in paths]),
        capture_output=True,
        text=True,
        check=True,
    )
    answers, heavy, failed = json.loads(done.stdout)
    assert heavy == [] and failed == []
    assert answers == [a.value for a in rung.load(found.bundle).predict(paths)]
    return sum(a == path.parent.name for a, path in zip(answers, paths, strict=True)) / len(paths)


def test_a_network_from_scratch_is_chosen_exported_and_served(tmp_path):
    params = {"epochs": 3, "width": 16, "flip": False, "refit": False}
    found = build(tmp_path, "scratch_cnn", params, 1_200, 0.4)
    assert found.report["cleared"] and found.report["winner"] == "scratch_cnn"
    trial = next(t for t in found.report["trials"] if t["rung"] == "scratch_cnn")
    assert trial["chosen"]["side"] == 28 and trial["chosen"]["colour"] == "grey"
    assert is_served_as_trained(found, tmp_path) > 0.5
    kinds = {path.suffix for path in (found.bundle / "model").rglob("*") if path.is_file()}
    assert kinds == {".json", ".onnx"}


@pytest.mark.slow
def test_a_pretrained_network_is_tuned_chosen_and_served(tmp_path, mobilenet_v2):
    params = {"model": mobilenet_v2, "blocks": 3, "epochs": 1, "flip": False}
    found = build(tmp_path, "finetuned_backbone", params, 400, 0.4)
    assert found.report["cleared"] and found.report["winner"] == "finetuned_backbone"
    assert is_served_as_trained(found, tmp_path) > 0.5


def test_weights_that_are_not_here_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNG_CACHE", str(tmp_path / "empty"))
    with pytest.raises(RungError) as caught:
        build(tmp_path, "finetuned_backbone", {}, 200, 0.4)
    assert "rung weights fetch efficientnet_lite0" in str(caught.value)
