"""The labelling page draws boxes with the mouse: chosen, removed, saved by keys, in pixels of the image."""

import json
import sys
from pathlib import Path

import pytest

from rung.annotation.app import create_labelling_app
from rung.workflows.label import open_labelling_session

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "annotation"))
from app_in_thread import answering
from looks import check_looks
from test_labelling_boxes import write_boxed_product

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("width", [1280, 390])
def test_a_box_is_drawn_and_saved(tmp_path, chromium, width):
    path, _ = write_boxed_product(tmp_path)
    with (
        open_labelling_session(path, background=False) as session,
        answering(lambda host: create_labelling_app(session, "word", [host], "en", "Ana", "squares")) as host,
    ):
        page = chromium.new_page(viewport={"width": width, "height": 900})
        problems = page.problems = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text))
        page.goto(f"http://{host}/word/")
        page.press("#by", "Enter")
        page.wait_for_selector(".boxer svg")
        for begin, end in (((0.1, 0.2), (0.5, 0.6)), ((0.9, 0.9), (0.7, 0.8))):
            drag(page, begin, end)
        assert page.locator(".boxer rect").count() == 2 and "save boxes: 2" in page.inner_text("#labels")
        drag(page, (0.8, 0.85), (0.8, 0.85))  # a click
        assert page.locator(".boxer rect.chosen").count() == 1
        page.keyboard.press("+")
        assert "zoomed" in page.get_attribute("#row", "class")
        page.keyboard.press("+")
        check_looks(page)
        page.keyboard.press("Backspace")
        assert page.locator(".boxer rect").count() == 1
        page.keyboard.press("Enter")
        page.wait_for_function("() => document.getElementById('said').innerText === 'Saved: 1 boxes'")
        (saved,) = session.answers_by("Ana").values()
        ((label, *numbers),) = json.loads(saved)
        assert label == "square" and numbers == pytest.approx([10, 16, 40, 32], abs=1.0)
        assert page.locator(".boxer rect").count() == 0 and not problems
        page.close()


def drag(page, begin, end):
    area = page.locator(".boxer svg").bounding_box()
    places = [(area["x"] + u * area["width"], area["y"] + v * area["height"]) for u, v in (begin, end)]
    page.mouse.move(*places[0])
    page.mouse.down()
    page.mouse.move(*places[1])
    page.mouse.up()
