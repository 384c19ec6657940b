"""Document reading as users begin it: pictures with texts or fields, to a server that answers uploads and takes corrections."""

import csv
import io
import json
import random
import shutil

import pytest
from fastapi.testclient import TestClient

import rung
from rung.core.spec.serve import ServeSpec
from rung.journal.writer import Journal
from rung.serving.http.api_keys import KeyStore
from rung.serving.http.app import create_app
from rung.serving.http.playground import playground_page
from rung.serving.service import Service
from rung.tasks.document_reading import draw_digits
from support import run_cli

SPEC = """name: meters
task: document_reading
data: {path: %s, near_duplicates: keep}
bar: [%s]
budget: {effort: 1, threads: 1}
certify: {fraction: 0.3}
ladder: [no_text, {model: line_reader, params: {most_rows: 10}}]
"""


def write_folder(folder, count):
    """Write pictures of numbers with the number in a text file beside each, one text missing, one picture broken."""
    rng = random.Random(1)
    folder.mkdir(parents=True)
    for number in range(count):
        digits = str(rng.randrange(10_000, 100_000))
        (folder / f"{number:03}.png").write_bytes(draw_digits(digits))
        (folder / f"{number:03}.txt").write_text(digits + "\n")
    (folder / "003.txt").unlink()
    (folder / "004.png").write_bytes(b"<html>Not found</html>")
    return folder


@pytest.fixture
def product(tmp_path, ppocr_v4):
    base = tmp_path / "meters"
    write_folder(base / "data", 110)
    (base / "product.yaml").write_text(SPEC % ("data", "{metric: reading_accuracy, at_least: 0.6}"))
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
    assert report["winner"] == "line_reader" and built.cleared, report["trials"]
    assert report["data"]["quarantined"]["unreadable"] == 1
    assert report["data"]["dialects"]["data"]["images_without_text"] == 1
    (condition,) = report["certificate"]["conditions"]
    assert condition["metric"] == "reading_accuracy" and report["certificate"]["exact"]
    scores = next(t for t in report["trials"] if t["rung"] == "line_reader")["scores"]
    assert scores["cer"] == pytest.approx(1 - scores["reading_accuracy"]) and "exact_documents" in scores
    page = (built.folder / "report.html").read_text()
    assert 'id="reading"' in page and "images have no file" in page or "1 image has no file" in page


def a_moved_bundle_answers_a_folder(base, bundle, folder):
    assert run_cli("verify", bundle).returncode == 0
    done = run_cli("predict", bundle, base / "data", "--output", folder / "read.csv", cwd=folder)
    assert done.returncode == 0, done.stderr
    with (folder / "read.csv").open(newline="", encoding="utf-8") as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}
    assert rows["000.png"]["text"] == (base / "data" / "000.txt").read_text().strip()
    (line,) = json.loads(rows["000.png"]["lines"])
    assert set(line) == {"text", "score", "box"} and "an HTML page" in rows["004.png"]["error"]
    assert float(rows["000.png"]["confidence"]) > 0.5


def uploads_are_answered_and_corrected(base, bundle, folder):
    folder.mkdir()
    spec = ServeSpec()
    journal = Journal(folder, spec.inputs, spec.keep_days)
    service = Service(limits=spec, keys=KeyStore(folder), journal=journal, folder=folder)
    with TestClient(create_app([rung.load(bundle)], service=service)) as client:
        data = (base / "data" / "007.png").read_bytes()
        reply = client.post("/v1/models/meters/predict", files={"image": ("a.png", data)})
        assert reply.status_code == 200, reply.text
        (answer,) = reply.json()["predictions"]
        assert answer["text"] == (base / "data" / "007.txt").read_text().strip()
        assert answer["lines"][0]["text"] == answer["text"]
        kept = client.post("/v1/feedback", json={"prediction": answer["id"], "answer": "12345"})
        assert kept.status_code == 201, kept.text
        refused = client.post("/v1/models/meters/predict", files={"image": ("a.png", b"no picture")})
        assert "not an image" in refused.json()["predictions"][0]["error"]
        assert '"lines"' in client.get("/openapi.json").text
    journal.close()


def test_fields_of_a_table_are_found(tmp_path, ppocr_v4):
    """Two numbers on a picture, one above the other: which is which is learned from where they stand."""
    from PIL import Image

    folder = tmp_path / "data"
    folder.mkdir()
    rng = random.Random(2)
    with (folder / "forms.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("image", "number", "total"))
        for place in range(40):
            number, total = str(rng.randrange(10_000, 100_000)), str(rng.randrange(100, 1_000))
            page = Image.new("L", (300, 260), 245)
            page.paste(Image.open(io.BytesIO(draw_digits(number))), (10, 10))
            page.paste(Image.open(io.BytesIO(draw_digits(total))), (60, 150))
            page.save(folder / f"{place}.png")
            table.writerow((f"{place}.png", number, total))
    (tmp_path / "product.yaml").write_text(
        (
            SPEC % ("data/forms.csv, label_columns: [number, total]", "{metric: exact_fields, at_least: 0.5}")
        ).replace(
            "{model: line_reader, params: {most_rows: 10}}",
            "{model: page_reader, params: {most_rows: 12, least_side: 192, most_side: 384}}",
        )
    )
    built = rung.build(tmp_path / "product.yaml")
    by_field = {item["field"]: item for item in built.report["details"]["reading_by_field"]}
    assert set(by_field) == {"number", "total"} and built.report["winner"] == "page_reader"
    assert by_field["total"]["right"] >= 0.7 * by_field["total"]["documents"]
    model = rung.load(built.bundle or built.folder / "bundle")
    answer = model.predict([{"image": folder / "5.png"}])[0]
    assert set(json.loads(answer.value)) <= {"number", "total"}


def test_a_folder_with_texts_is_recognised(tmp_path):
    write_folder(tmp_path / "data", 40)
    done = run_cli("plan", "data", "-o", "product.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "product.yaml").read_text()
    assert "task: document_reading" in text and "input: image" in text and "target: text" in text
    planned = json.loads((tmp_path / "plan.json").read_text())
    assert "no_text" in {rung["model"] for rung in planned["ladder"]}


def test_a_table_of_pictures_and_texts_is_recognised(tmp_path):
    write_folder(tmp_path / "pictures", 30)
    with (tmp_path / "read.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("image", "text"))
        for picture in sorted((tmp_path / "pictures").glob("*.png")):
            table.writerow((f"pictures/{picture.name}", f"Number {picture.stem} of the meter"))
    done = run_cli("plan", "read.csv", "-o", "product.yaml", cwd=tmp_path)
    assert done.returncode == 0 and "task: document_reading" in (tmp_path / "product.yaml").read_text()


def test_the_try_page_says_lines_in_both_languages():
    assert "{n} pieces of text" in playground_page("en") and "{n} 处文字" in playground_page("zh")
