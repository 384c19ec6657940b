"""Image classification as users begin it: a folder per class or a CSV of paths, real images, to a server that takes uploads."""

import base64
import csv
import io
import json
import shutil

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

import caches
import rung
from rung.core.spec.serve import ServeSpec
from rung.journal.writer import Journal
from rung.serving.http.api_keys import KeyStore
from rung.serving.http.app import create_app
from rung.serving.service import Service
from rung.workflows.check import check
from support import run_cli, write_csv

CLASSES = ("trouser", "bag", "sneaker")
FORMS = (("png", "PNG", {}), ("jpg", "JPEG", {"quality": 92}), ("webp", "WEBP", {"quality": 92}))
SPEC = """name: garments
task: image_classification
data: {data}
bar: {{metric: accuracy, at_least: 0.8}}
budget: {{effort: 1, threads: 1}}
ladder: [majority, pixels_linear, hog_linear]
"""


def encoded(pixels, form="PNG", **how):
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, form, **how)
    return out.getvalue()


def write_images(folder, images, labels, each=60):
    """Write a folder a class, in three formats, and what people's folders hold beside images."""
    counts = dict.fromkeys(CLASSES, 0)
    for number, (pixels, label) in enumerate(zip(images, labels, strict=True)):
        if counts.get(label, each) < each:
            ending, form, how = FORMS[counts[label] % len(FORMS)]
            path = folder / label / f"{number:04}.{ending}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encoded(pixels, form, **how))
            counts[label] += 1
    bag = folder / "bag"
    first = sorted(bag.glob("*.png"))[0]
    shutil.copy(first, bag / "copy.png")
    (bag / "again.jpg").write_bytes(encoded(np.asarray(Image.open(first)), "JPEG", quality=95))
    (bag / "broken.png").write_bytes(first.read_bytes()[:100])
    (bag / "page.jpg").write_text("<html>Not found</html>")
    (bag / "notes.txt").write_text("red ones are on the second shelf")
    return folder


@pytest.fixture(scope="module")
def product(tmp_path_factory):
    """A product of a folder per class, built, then moved: its images are no longer where they were."""
    base = tmp_path_factory.mktemp("garments")
    write_images(base / "data", *caches.garments(1500))
    (base / "product.yaml").write_text(SPEC.format(data="{path: data}"))
    built = rung.build(base / "product.yaml")
    moved = tmp_path_factory.mktemp("elsewhere")
    shutil.copytree(built.bundle, moved / "bundle")
    (base / "data").rename(base / "gone")
    return base, built, moved / "bundle"


def test_a_folder_of_images_is_recognised(tmp_path):
    write_images(tmp_path / "clothes", *caches.garments(400), each=30)
    done = run_cli("plan", "clothes", "-o", "product.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "product.yaml").read_text()
    assert "task: image_classification" in text and "input: image" in text and "target: label" in text
    planned = json.loads((tmp_path / "plan.json").read_text())
    assert {rung["model"] for rung in planned["ladder"]} >= {"majority", "pixels_linear", "hog_linear"}
    assert "frozen_backbone" in {left["rung"] for left in planned["left_out"]}
    assert "characters" not in " ".join(done.stdout.split())
    assert "1 files have the same content as another" in " ".join(done.stdout.split())


def test_a_build_leaves_out_what_is_no_image_and_says_so(product):
    base, built, _ = product
    report = built.report
    assert report["cleared"] and report["winner"] in {"pixels_linear", "hog_linear"}
    assert (
        report["data"]["quarantined"]["unreadable"] == 2 and report["data"]["quarantined"]["other_file"] == 1
    )
    assert report["data"]["quarantined"]["duplicate"] == 1
    found = {finding["check"]: finding for finding in report["findings"]}
    assert set(found) == {"unreadable_media"}
    reasons = {item["file"]: item["note"] for item in found["unreadable_media"]["evidence"]}
    assert "an HTML page" in reasons["bag/page.jpg"] and "damaged" in reasons["bag/broken.png"]
    assert report["costs"]["llm"] is None and report["extras"] == ["build", "images"]
    page = (built.folder / "report.html").read_text()
    assert "says nothing about it" in page and ".[build,images]" in page
    assert "Files that cannot be used" in page and "img-src data:" in page
    mistakes = report["details"]["mistakes"]
    assert mistakes and all(item["thumbnails"][0].startswith("data:image/jpeg") for item in mistakes)
    assert mistakes[0]["thumbnails"][0] in page
    # The self-test's images ship with the bundle, drift knows their measures.
    assert {"width", "height", "brightness", "contrast", "size"} <= {
        name.split(":")[-1].split("/")[-1] for name in drift_names(built.bundle / "drift.json")
    }
    assert not list(built.bundle.rglob("*.pkl"))


def drift_names(path):
    """Return every name in drift.json."""

    def walk(node):
        if isinstance(node, dict):
            for key, value in node.items():
                yield str(key)
                yield from walk(value)
        elif isinstance(node, list):
            for value in node:
                yield from walk(value)
        else:
            yield str(node)

    return set(walk(json.loads(path.read_text())))


def test_near_duplicates_are_found_and_kept_on_one_side(product, tmp_path):
    base, _, _ = product
    (tmp_path / "product.yaml").write_text(SPEC.format(data="{path: data}"))
    shutil.copytree(base / "gone", tmp_path / "data")
    checked = check(tmp_path / "product.yaml")
    found = {finding.check: finding for finding in checked.findings}
    left_out = checked.facts["quarantined"].get("near_duplicate", 0)
    assert left_out or {item.file for item in found["near_duplicates"].evidence} >= {"bag/again.jpg"}


def test_a_moved_bundle_verifies_and_reads_folders_and_tables(product, tmp_path):
    base, _, bundle = product
    assert run_cli("verify", bundle).returncode == 0
    done = run_cli("predict", bundle, base / "gone" / "sneaker", cwd=tmp_path)
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert done.returncode == 0 and len(rows) == 60
    assert sum(row["label"] == "sneaker" for row in rows) >= 54
    done = run_cli("predict", bundle, base / "gone" / "bag", cwd=tmp_path)
    broken = {row["file"]: row["error"] for row in csv.DictReader(io.StringIO(done.stdout)) if row["error"]}
    assert "an HTML page" in broken["page.jpg"] and "damaged" in broken["broken.png"]
    first = sorted((base / "gone" / "bag").glob("*.webp"))[0]
    table = write_csv(
        base / "asked.csv", ["id", "image"], [["a", f"gone/bag/{first.name}"], ["b", "/etc/passwd"]]
    )
    done = run_cli("predict", bundle, table, cwd=tmp_path)
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert rows[0]["label"] == "bag" and rows[1]["error"] and not rows[1]["label"]


def test_a_csv_of_paths_builds_the_same_product(product, tmp_path):
    base, built, _ = product
    shutil.copytree(base / "gone", tmp_path / "圖片")
    rows = [
        [f"圖片/{path.relative_to(base / 'gone')}", path.parent.name]
        for path in sorted((base / "gone").rglob("*.*"))
    ]
    write_csv(
        tmp_path / "list.csv",
        ["photo", "kind"],
        [*rows, ["圖片/none.png", "bag"], ["../../../etc/hostname", "bag"]],
    )
    (tmp_path / "product.yaml").write_text(SPEC.format(data="{path: list.csv, input: photo, target: kind}"))
    again = rung.build(tmp_path / "product.yaml")
    left_out = again.report["data"]["quarantined"]
    assert left_out["missing_file"] >= 1 and left_out["unreadable"] == 3
    assert again.report["data"]["train"] == built.report["data"]["train"]
    assert again.report["winner"] == built.report["winner"]


@pytest.fixture
def server(product, tmp_path):
    spec = ServeSpec()
    journal = Journal(tmp_path, spec.inputs, spec.keep_days)
    service = Service(limits=spec, keys=KeyStore(tmp_path), journal=journal, folder=tmp_path)
    with TestClient(create_app([rung.load(product[2])], service=service)) as client:
        yield client, tmp_path
    journal.close()


URL = "/v1/models/garments/predict"


def test_an_answer_names_the_regions_that_decided(product, server):
    base, built, _ = product
    path = sorted((base / "gone" / "trouser").iterdir())[0]
    reply = server[0].post(
        URL, files={"image": (path.name, path.read_bytes())}, data={"options.explain": "true"}
    )
    reasons = reply.json()["predictions"][0]["reasons"]
    assert 1 <= len(reasons) <= 8
    assert all(0 <= share <= 1 for reason in reasons for share in reason["region"])
    # The report shows them over its mistakes, and lists no words where there are none.
    why = built.report["study"]["why"]
    assert why["examples"][0]["reasons"][0]["region"] and not why["words"]
    assert '<span class="heat">' in (built.folder / "report.html").read_text()


def test_uploads_are_answered_and_journaled_by_hash(product, server):
    base, _, _ = product
    client, folder = server
    for path in sorted((base / "gone" / "trouser").iterdir())[:6]:
        data = path.read_bytes()
        reply = client.post(URL, files={"image": (path.name, data)})
        assert reply.status_code == 200, reply.text
        (answer,) = reply.json()["predictions"]
        row = {"image": {"base64": base64.encodebytes(data).decode(), "name": path.name}}
        (same,) = client.post(URL, json={"inputs": row}).json()["predictions"]
        assert answer["label"] == same["label"] == "trouser" and answer["probability"] == same["probability"]
        stored = b"".join(file.read_bytes() for file in folder.glob("journal.db*"))
        assert data not in stored and base64.b64encode(data)[:80] not in stored
    (told,) = client.get("/v1/models").json()["models"]
    (field,) = told["inputs"]
    assert field["name"] == "image" and '"file"' in json.dumps(field) and "image/png" in json.dumps(field)


def bomb():
    """A PNG of 20,000 x 20,000 pixels by its header."""
    import zlib

    data = bytearray(encoded(np.zeros((8, 8), np.uint8)))
    data[16:24] = (20_000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    return bytes(data)


def is_refused(reply):
    """Return whether a request was refused, or its one row was, with words about the image."""
    if 400 <= reply.status_code < 500:
        return True
    (row,) = reply.json()["predictions"]
    return reply.status_code == 200 and "image" in row["error"] and "label" not in row


def test_hostile_uploads_are_refused_and_the_server_goes_on(product, server):
    client, _ = server
    good = encoded(np.zeros((28, 28), np.uint8))
    for data in (
        b"", b"<html>", b"%!PS-Adobe-3.0 EPSF-3.0", bomb(), good[:40], b"\xff\xd8\xff" + b"\x00" * 500, b"/etc/passwd",
    ):  # fmt: skip
        reply = client.post(URL, files={"image": ("x.jpg", data)})
        assert is_refused(reply), (data[:20], reply.text)
    for value in (
        "/etc/passwd",
        "http://localhost/x.png",
        "file:///etc/passwd",
        7,
        ["a"],
        {"path": "/etc/passwd"},
    ):
        assert is_refused(client.post(URL, json={"inputs": {"image": value}})), value
    both = client.post(URL, files=[("image", ("a.png", good)), ("image", ("b.png", b"<html>"))])
    one, other = both.json()["predictions"]
    assert one["label"] in CLASSES and "an HTML page" in other["error"]
    assert client.post(URL, files={"image": ("x.png", good)}).status_code == 200
