"""A served product of images learns: uploads are kept by choice, people review them, drift watches their measures, a challenger is promoted."""

import io
import json
import urllib.request

import pytest
from PIL import Image, ImageEnhance

import caches
import rung
from rung.journal.encryption import MASTER_KEY_VARIABLE, new_master_key
from rung.serving.http.api_keys import KeyStore
from rung.workflows.improve import improve
from served_products import ask, review_all, served
from support import run_cli

CLASSES = ("trouser", "bag", "sneaker")
SPEC = """name: garments
task: image_classification
data: {path: data}
bar: {metric: accuracy, at_least: 0.6}
budget: {effort: 0, threads: 1}
ladder: [majority, pixels_linear]
serve: {media: keep}
improve: {audit_rows: 30, audit_share: 0.6, min_feedback: 10, overlap: 0, margin: 0.2}
"""


def encoded(pixels, brightness=1.0):
    out = io.BytesIO()
    ImageEnhance.Brightness(Image.fromarray(pixels)).enhance(brightness).save(out, "PNG")
    return out.getvalue()


def upload(address, name, data, key):
    """Send a picture as a form, as browsers do; return the answer."""
    head = f'--b\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n\r\n'.encode()
    request = urllib.request.Request(f"{address}/v1/models/garments/predict", head + data + b"\r\n--b--\r\n")
    request.add_header("Content-Type", "multipart/form-data; boundary=b")
    request.add_header("Authorization", f"Bearer {key}")
    with urllib.request.urlopen(request, timeout=60) as reply:
        return json.load(reply)["predictions"][0]


@pytest.mark.slow
def test_uploads_are_reviewed_and_a_challenger_is_promoted(tmp_path, monkeypatch):
    master = new_master_key()
    monkeypatch.setenv(MASTER_KEY_VARIABLE, master)
    known = [
        (pixels, label) for pixels, label in zip(*caches.garments(1500), strict=True) if label in CLASSES
    ]
    for number, (pixels, label) in enumerate(known[:200]):
        path = tmp_path / "data" / label / f"{number:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(pixels))
    spec = tmp_path / "product.yaml"
    spec.write_text(SPEC, encoding="utf-8")
    assert rung.build(spec).cleared
    truth = {f"{number:04}.png": label for number, (_, label) in enumerate(known[200:380])}
    with served(spec, master) as (address, _):
        key = KeyStore(tmp_path / "service").create("shop", "predict")[1]
        for (name, label), (pixels, _) in zip(truth.items(), known[200:380], strict=True):
            # A darker shop than the one that the training pictures are of.
            answer = upload(address, name, encoded(pixels, 0.4), key)
            if answer["label"] != label:
                ask(address, "/v1/feedback", {"prediction": answer["id"], "answer": label}, key)
    drift = run_cli("drift", spec, "--json", cwd=tmp_path)
    assert "brightness" in drift.stdout, drift.stderr
    progress = review_all(spec, lambda cells: truth[cells["image"].name])
    assert progress.mine > 100, progress
    done = improve(spec)
    assert done.verdict == "promoted", done
    assert done.facts["accepted"] > 20
