"""Pictures side by side on the labelling page: named by keys and clicks, enlarged, saved together, undone; more labels than letters."""

import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from PIL import Image

import caches
from rung.annotation.app import GRID, create_labelling_app
from rung.core.spec.labelling import KEYS
from rung.workflows.label import open_labelling_session

sys.path.insert(0, str(Path(__file__).parent))
from app_in_thread import answering
from looks import check_looks

pytestmark = pytest.mark.browser
SPEC = """name: garments
task: image_classification
data: {{path: photos, input: image, target: label}}
labelling: {{labels: {{{labels}}}, weights: none}}
bar: {{metric: accuracy, at_least: 0.8}}
"""


@pytest.fixture
def labelled(tmp_path, chromium):
    """Return a function that opens the page on 60 garments: (session, page)."""
    (tmp_path / "photos").mkdir()
    for number, pixels in enumerate(caches.garments(60)[0]):
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{number:04}.png")
    with ExitStack() as opened:

        def open_page(labels, width=1280, lang="en"):
            spec = SPEC.format(labels=", ".join(f'"{label}": ""' for label in labels))
            (tmp_path / "product.yaml").write_text(spec, encoding="utf-8")
            session = opened.enter_context(
                open_labelling_session(tmp_path / "product.yaml", background=False)
            )
            made = answering(
                lambda host: create_labelling_app(session, "word", [host], lang, "Ana", "garments")
            )
            address = f"http://{opened.enter_context(made)}/word/"
            page = chromium.new_page(viewport={"width": width, "height": 900})
            opened.callback(page.close)
            page.problems = []
            page.on("pageerror", lambda error: page.problems.append(str(error)))
            page.on("console", lambda message: page.problems.append(message.text))
            page.goto(address)
            page.press("#by", "Enter")
            page.wait_for_selector("#row img")
            return session, page

        yield open_page


@pytest.mark.parametrize(("width", "lang"), [(1280, "en"), (390, "zh")])
def test_several_pictures_are_named_and_saved_together(labelled, width, lang):
    session, page = labelled(("top", "shoe", "bag"), width, lang)
    page.keyboard.press(".")
    page.wait_for_selector(".tile")
    assert page.locator(".tile").count() == GRID
    for key in "123":
        page.keyboard.press(key)
    assert page.locator(".tile strong").all_inner_texts() == ["top", "shoe", "bag"]
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("u")  # takes the name of the third back
    page.locator(".tile").nth(5).click()
    page.keyboard.press("+")
    assert "zoomed" in page.get_attribute("#row", "class")
    page.keyboard.press("+")
    page.keyboard.press("1")
    check_looks(page)
    page.keyboard.press("Enter")
    page.wait_for_function("() => /3/.test(document.getElementById('said').innerText)")
    page.wait_for_function("() => !document.querySelector('.tile strong')")
    assert sorted(session.answers_by("Ana").values()) == ["shoe", "top", "top"]
    page.keyboard.press("u")  # nothing is named here: the last answer comes back, alone
    page.wait_for_function("() => !document.querySelector('.tile') && document.querySelector('#row img')")
    assert len(session.answers_by("Ana")) == 2 and not page.problems


def test_the_key_of_the_last_label_is_no_command(labelled):
    labels = [f"kind {number}" for number in range(1, len(KEYS) + 1)]
    session, page = labelled(labels)
    page.keyboard.press(KEYS[-1])
    page.wait_for_function("() => document.getElementById('said').innerText.includes('kind 33')")
    assert list(session.answers_by("Ana").values()) == ["kind 33"] and KEYS[-1] == "z"
    assert not page.problems
