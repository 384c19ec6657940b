"""The portrait of a history as a page: interests by category and over time, changed by its reader, and erased."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from rung.core import registry
from rung.core.manifest import Manifest
from rung.modalities.recommendation.catalogue import Catalogue, Item
from rung.modalities.recommendation.recommender import Shelf
from rung.modalities.recommendation.scorers import Popular
from rung.modalities.recommendation.wishes import Wishes
from rung.models.popularity import Popularity
from rung.serving.http.app import create_app
from rung.serving.predictor import Predictor

sys.path.insert(0, str(Path(__file__).parent))
from app_in_thread import answering
from looks import check_looks, every_look

pytestmark = pytest.mark.browser
DAY = 86_400.0


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    items = tuple(Item(str(n), f"Film {n}", ("Comedy",) if n % 2 else ("Drama", "War")) for n in range(40))
    popular = np.arange(40.0, 0.0, -1.0)
    model = Popularity(
        Shelf(Catalogue(items), popular, popular / popular.sum(), Wishes()), Popular(popular), {}
    )
    task = registry.task("recommendation")
    schema = task.schema(task.default_inputs(()), [])
    manifest = Manifest(
        "films", "v1", "0", "recommendation", "popularity", "popularity", "/v1/models/films/predict", schema, {}, certified=True
    )  # fmt: skip
    predictor = Predictor(manifest, task, model, tmp_path_factory.mktemp("models"))
    with answering(lambda host: create_app([predictor])) as host:
        yield f"http://{host}/"


@pytest.fixture
def open_page(chromium, address):
    contexts = []

    def open_(width=1280, lang="en", scheme="light", view="#portrait"):
        context = chromium.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            locale={"en": "en-GB", "zh": "zh-CN"}[lang],
        )
        contexts.append(context)
        page = context.new_page()
        page.problems = []
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.on("console", lambda m: m.type == "error" and page.problems.append(m.text))
        page.goto(address + view)
        page.wait_for_selector("#found button")
        return page

    yield open_
    for context in contexts:
        context.close()


def give(page, history):
    page.click("#fields details summary >> nth=0")
    page.fill("#fields textarea.code", json.dumps(history))
    page.click("#fields details button >> nth=0")
    page.wait_for_selector("#answer .bar")


@every_look
def test_a_history_is_a_portrait(open_page, width, lang, scheme):
    page = open_page(width, lang, scheme)
    give(page, [{"item": str(n), "time": n * 30 * DAY} for n in range(20)])
    page.wait_for_selector("table.periods")
    rows = page.locator("table.periods tbody tr")
    assert rows.count() == 3 and "1970-01-01" in page.locator("table.periods thead").inner_text()
    assert page.locator("#liked .chips button").count() == 20
    page.wait_for_selector("text=Film 19")
    assert page.locator("ol.suggested").count() == 0
    check_looks(page)


def test_removing_an_item_changes_the_portrait_and_forgetting_empties_it(open_page):
    page = open_page()
    give(page, ["1", "2"])
    assert "50%" in page.locator("#answer").inner_text()
    page.click("#liked .chips button >> nth=0")
    # The page's policy forbids functions made of text.
    page.locator("#answer", has_text="Comedy").wait_for(state="detached")
    page.click("#liked > button")
    page.locator("#answer .bar").first.wait_for(state="detached")
    assert "No portrait yet" in page.locator("#answer").inner_text() and page.problems == []


def test_the_same_history_is_behind_the_list(open_page):
    page = open_page()
    give(page, ["1", "2"])
    page.click("text=See the list")
    page.wait_for_selector("ol.suggested li")
    assert page.locator("#liked .chips button").count() == 2
    page.click("text=See your portrait")
    page.wait_for_selector("#answer .bar")


def test_a_history_that_cannot_be_read_is_said_and_the_old_one_stays(open_page):
    page = open_page()
    give(page, ["1"])
    page.fill("#fields textarea.code", "{")
    page.click("#fields details button >> nth=0")
    page.wait_for_selector("#fields details .problem")
    assert page.locator("#liked .chips button").count() == 1


def test_what_the_server_keeps_is_erased_where_there_is_a_journal(open_page):
    page = open_page()
    page.click("#fields > details summary >> nth=1")
    page.fill("#fields input[placeholder=subject]", "ann")
    page.click("#fields > details:nth-of-type(2) button")
    page.wait_for_selector("#fields details .problem")
    assert "journal" in page.locator("#fields details .problem").inner_text()
