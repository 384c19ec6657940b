"""Object detection as users begin it: images with boxes, to a server that answers uploads and takes corrections."""

import csv
import io
import json
import shutil

import numpy as np
import pytest
from fastapi.testclient import TestClient

import rung
from rung.core.spec.serve import ServeSpec
from rung.journal.writer import Journal
from rung.modalities.images.png import write_png
from rung.serving.http.api_keys import KeyStore
from rung.serving.http.app import create_app
from rung.serving.http.playground import playground_page
from rung.serving.service import Service
from support import run_cli

SIDE = 64
SPEC = """name: squares
task: object_detection
data: {path: data, near_duplicates: keep}
bar:
  - {metric: box_recall, at_least: 0.6}
  - {metric: false_boxes, at_most: 5}
budget: {effort: 1, threads: 1}
ladder: [no_boxes, {model: detector_head, params: {side: 192, hidden: 24, epochs: 4}}]
"""


def drawing(rng, count):
    """Return a dark picture with bright squares and discs, and lines of YOLO that say where they are."""
    levels = rng.integers(0, 50, (SIDE, SIDE, 3))
    lines = []
    for place in rng.permutation(4)[:count].tolist():
        side, kind = int(rng.integers(16, 24)), int(rng.integers(2))
        x, y = 4 + 32 * (place % 2), 4 + 32 * (place // 2)
        down, across = np.mgrid[0:side, 0:side] - (side - 1) / 2
        ink = np.ones((side, side), bool) if kind == 0 else down**2 + across**2 <= (side / 2) ** 2
        levels[y : y + side, x : x + side][ink] = (220, 60, 60) if kind == 0 else (60, 220, 220)
        shares = ((x + side / 2) / SIDE, (y + side / 2) / SIDE, side / SIDE, side / SIDE)
        lines.append(f"{kind} " + " ".join(f"{share:.6f}" for share in shares))
    return write_png(levels.astype(np.uint8)), "\n".join(lines)


def write_set(folder, count):
    rng = np.random.default_rng(1)
    for number in range(count):
        image, lines = drawing(rng, number % 4)
        for name, content in (
            (f"images/{number:03}.png", image),
            (f"labels/{number:03}.txt", lines.encode()),
        ):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    (folder / "data.yaml").write_text("names: [square, disc]\n")
    (folder / "images" / "broken.png").write_bytes(b"<html>Not found</html>")
    (folder / "labels" / "000.txt").write_text("5 0.5 0.5 0.1 0.1\n")
    return folder


@pytest.fixture
def product(tmp_path, centernet):
    """A product, built, then moved: its images are no longer where they were."""
    base = tmp_path / "squares"
    write_set(base / "data", 110)
    (base / "product.yaml").write_text(SPEC)
    built = rung.build(base / "product.yaml")
    shutil.copytree(built.bundle, tmp_path / "moved" / "bundle")
    return base, built, tmp_path / "moved" / "bundle"


def test_from_a_folder_to_a_server(product, tmp_path):
    base, built, bundle = product
    the_report_says(built)
    a_moved_bundle_answers_a_folder(base, bundle, tmp_path)
    uploads_are_answered_and_corrected(base, bundle, tmp_path / "served")


def the_report_says(built):
    report = built.report
    assert report["data"]["quarantined"] == {"bad_boxes": 1, "unreadable": 1}
    assert report["winner"] == "detector_head", report["trials"]
    assert built.cleared, report["trials"]
    certificate = report["certificate"]
    assert certificate["exact"] and [c["metric"] for c in certificate["conditions"]] == [
        "box_recall",
        "false_boxes",
    ]
    by_label = {item["label"]: item for item in report["details"]["boxes_by_label"]}
    assert set(by_label) == {"square", "disc"}
    scores = next(t for t in report["trials"] if t["rung"] == "detector_head")["scores"]
    assert scores["map50"] > 0.5 and {"box_f1", "map"} <= set(scores)
    page = (built.folder / "report.html").read_text()
    for picture in report["details"]["pictures"]:
        assert picture["size"] == [SIDE, SIDE] and picture["picture"] in page
    assert ('<svg class="boxes"' in page) == bool(report["details"]["pictures"])
    assert json.loads((built.bundle / "manifest.json").read_text())["certified"]


def a_moved_bundle_answers_a_folder(base, bundle, folder):
    assert run_cli("verify", bundle).returncode == 0
    done = run_cli("predict", bundle, base / "data" / "images", cwd=folder)
    rows = {row["file"]: row for row in csv.DictReader(io.StringIO(done.stdout))}
    assert done.returncode == 0 and len(rows) == 111 and "an HTML page" in rows["broken.png"]["error"]
    assert json.loads(rows["004.png"]["boxes"]) == []
    (box, *_) = json.loads(rows["003.png"]["boxes"])
    assert set(box) == {"label", "score", "box"} and len(box["box"]) == 4


def uploads_are_answered_and_corrected(base, bundle, folder):
    folder.mkdir()
    spec = ServeSpec()
    journal = Journal(folder, spec.inputs, spec.keep_days)
    service = Service(limits=spec, keys=KeyStore(folder), journal=journal, folder=folder)
    with TestClient(create_app([rung.load(bundle)], service=service)) as client:
        data = (base / "data" / "images" / "007.png").read_bytes()
        reply = client.post("/v1/models/squares/predict", files={"image": ("a.png", data)})
        assert reply.status_code == 200, reply.text
        (answer,) = reply.json()["predictions"]
        assert answer["boxes"] and answer["boxes"][0]["label"] in {"square", "disc"}
        given = [{"label": "square", "box": [1, 2, 30, 40]}]
        kept = client.post("/v1/feedback", json={"prediction": answer["id"], "answer": given})
        assert kept.status_code == 201, kept.text
        refused = client.post("/v1/models/squares/predict", files={"image": ("a.png", b"no picture")})
        assert "not an image" in refused.json()["predictions"][0]["error"]
        document = client.get("/openapi.json").json()
        assert '"boxes"' in json.dumps(document) and "minItems" in json.dumps(document)
    journal.close()


def test_a_folder_with_boxes_is_recognised(tmp_path):
    write_set(tmp_path / "data", 40)
    done = run_cli("plan", "data", "-o", "product.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "product.yaml").read_text()
    assert "task: object_detection" in text and "input: image" in text and "target: boxes" in text
    planned = json.loads((tmp_path / "plan.json").read_text())
    assert "no_boxes" in {rung["model"] for rung in planned["ladder"]}
    assert {left["rung"] for left in planned["left_out"]} == {"coco_detector", "detector_head"}
    assert "Rows per class: 2 classes" in " ".join(done.stdout.split())


def test_the_try_page_says_boxes_in_both_languages():
    assert "{n} boxes" in playground_page("en") and "{n} 个边界框" in playground_page("zh")
    assert "drawPlaces" in playground_page("en")
