"""The page to try a model of images, on a bundle that was built: pictures chosen, dropped, pasted and filmed; several labels."""

import base64
import csv
import json
import shutil
import sys
from pathlib import Path

import pytest

import rung
from rung.core.spec.serve import ServeSpec
from rung.journal.writer import Journal
from rung.serving.http.api_keys import KeyStore
from rung.serving.http.app import create_app
from rung.serving.service import Service
from support import write_csv

sys.path.insert(0, str(Path(__file__).parent))
from app_in_thread import answering
from looks import check_looks

pytestmark = pytest.mark.browser
WORDS = ("alphabets", "animals", "asl", "english", "filled", "lowercase", "symbols")
SPEC = """name: stamps
task: image_multilabel
data: {path: rows.csv, input: image, target: words}
bar: {metric: subset_accuracy, at_least: 0.2}
budget: {effort: 0, threads: 1}
ladder: [{model: hog_linear, params: {head: ridge, cells: [8]}}]
"""
# Hands a file to the page as a drop or a paste of a person does; the browser's own events cannot be made with files.
HAND = """([data, type]) => {
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  const list = new DataTransfer(); list.items.add(new File([bytes], type + ".png", { type: "image/png" }));
  const made = type === "paste" ? new ClipboardEvent("paste", { clipboardData: list, bubbles: true, cancelable: true })
    : new DragEvent(type, { dataTransfer: list, bubbles: true, cancelable: true });
  document.querySelector("h1").dispatchEvent(made);
}"""


@pytest.fixture(scope="module")
def served(tmp_path_factory, example_data):
    """Yield the address of a server with a model of stamps, a picture in base64, and the folder of its journal."""
    folder, data = tmp_path_factory.mktemp("stamps"), example_data("stamps")
    (folder / "stamps").mkdir()
    with (data / "stamps.csv").open(encoding="utf-8", newline="") as file:
        rows = [
            (row["image"], sorted(set(WORDS) & set(json.loads(row["words"])))) for row in csv.DictReader(file)
        ]
    rows = [row for row in rows if row[1]][::3]
    for image, _ in rows:
        shutil.copy(data / image, folder / image)
    write_csv(folder / "rows.csv", ["image", "words"], [[image, json.dumps(words)] for image, words in rows])
    (folder / "product.yaml").write_text(SPEC, encoding="utf-8")
    model, spec = rung.load(rung.build(folder / "product.yaml").bundle), ServeSpec()
    journal = Journal(folder, spec.inputs, spec.keep_days)
    service = Service(limits=spec, keys=KeyStore(folder), journal=journal, folder=folder)
    picture = next(image for image, words in rows if {"alphabets", "english"} <= set(words))
    with answering(lambda host: create_app([model], service=service)) as host:
        yield f"http://{host}/", base64.b64encode((folder / picture).read_bytes()).decode(), folder
    journal.close()


@pytest.fixture(params=[(1280, "en"), (390, "zh")], ids=["desktop", "phone"])
def page(request, chromium, served):
    width, lang = request.param
    context = chromium.new_context(
        viewport={"width": width, "height": 900}, locale={"en": "en-GB", "zh": "zh-CN"}[lang]
    )
    page = context.new_page()
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("console", lambda m: m.type == "error" and page.problems.append(m.text))
    page.goto(served[0])
    page.wait_for_selector("#f0")
    yield page
    context.close()


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_a_picture_is_dropped_or_pasted_and_answered_with_several_labels(page, served, way):
    page.evaluate(HAND, [served[1], way])
    page.wait_for_selector(".preview img")
    assert page.evaluate("document.querySelector('#f0').files[0].name") == f"{way}.png"
    page.click("#send")
    page.wait_for_selector("#answer .labels")
    given = page.locator("#answer .labels b").all_inner_texts()
    assert given and set(given) <= set(WORDS) and page.locator("#answer .bar").count() == len(WORDS)
    page.wait_for_selector(".heat svg rect")
    check_looks(page)
    assert not page.problems


def test_a_picture_is_taken_with_the_camera(page):
    page.locator(".tools button").click()
    take = page.locator(".preview button")
    page.wait_for_function("() => document.querySelector('.preview button')?.disabled === false")
    take.click()
    page.wait_for_selector(".preview img")
    assert page.evaluate("document.querySelector('#f0').files[0].type") == "image/jpeg"
    assert page.locator(".preview video").count() == 0
    page.click("#send")
    page.wait_for_selector("#answer .bar")
    assert not page.problems


def test_labels_are_ticked_where_an_answer_is_wrong(page, served):
    page.evaluate(HAND, [served[1], "drop"])
    page.click("#send")
    page.wait_for_selector(".verdict")
    page.locator(".verdict button").nth(1).click()
    page.wait_for_selector("fieldset")
    for tick in page.locator("fieldset input").all():
        tick.set_checked(tick.get_attribute("value") in {"asl", "symbols"})
    check_looks(page)
    page.locator(".verdict button").click()
    page.wait_for_function("() => !document.querySelector('.verdict button')")
    assert not page.problems and page.locator(".verdict .problem").count() == 0
