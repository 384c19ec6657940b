"""The labelling page in a browser: by keyboard only, on a desktop and on a phone, in both languages, by two people."""

import sys
import time
from pathlib import Path

import pytest

from rung.annotation.app import create_labelling_app

sys.path.insert(0, str(Path(__file__).parent))
from app_in_thread import answering
from looks import check_looks

from labelling_world import label_rows, session_in, truth_of

pytestmark = pytest.mark.browser


@pytest.fixture
def served(tmp_path):
    """A labelling session and the address of its page."""
    with (
        session_in(tmp_path, background=True) as session,
        answering(lambda host: create_labelling_app(session, "word", [host], "en", "Ana", "desk")) as host,
    ):
        yield session, f"http://{host}/word/"


@pytest.fixture
def enter(chromium):
    """Return a function that opens the page as a person, by keys alone."""
    contexts = []

    def open_page(address, name, width=1280, scheme="light", lang=None):
        context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.problems = []
        page.on("console", lambda m: page.problems.append(m.text))
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        base = address.rsplit("/", 2)[0]
        page.on("request", lambda r: r.url.startswith(base) or page.problems.append(f"asked for {r.url}"))
        page.goto(address)
        if lang == "zh":
            page.click("#language")
            page.focus("#by")
        page.keyboard.press("Control+A")
        page.keyboard.type(name)
        page.keyboard.press("Enter")
        page.wait_for_selector("#row p")
        return page

    yield open_page
    for context in contexts:
        context.close()


KEYS = {"ships": "1", "trees": "2", "gold": "3"}


def press_and_wait(page, key):
    before = page.inner_text("#row")
    page.keyboard.press(key)
    page.wait_for_function("before => document.getElementById('row').innerText !== before", arg=before)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("width", [1280, 390])
def test_it_fits_and_can_be_read(served, enter, width, lang, scheme):
    session, address = served
    label_rows(session, "Ana", 90)
    row = session.next("Bo").row
    session.record_answer("Bo", row.text, "label", "ships")
    session.record_answer("Cy", row.text, "label", "gold")
    assert session.strategy.wait(30)
    page = enter(address, "Bo", width, scheme, lang)
    page.wait_for_selector("#curve svg")
    check_looks(page)
    words = page.inner_text("main")
    assert ("标注规则" in words) == (lang == "zh") and ("Guidelines" in words) == (lang == "en")
    assert "One label a row. 每行一个标签。" in words and "boats, harbours, the sea" in words
    page.keyboard.press("/")
    page.wait_for_selector("#open .choices")
    check_looks(page)


def test_by_keys_alone(served, enter):
    session, address = served
    page = enter(address, "Ana")
    for _ in range(12):
        press_and_wait(page, KEYS[truth_of(page.inner_text("#row p"))])
    assert session.progress("Ana").labelled == 12 and page.inner_text("#said").startswith("Saved")
    row = page.inner_text("#row p")
    press_and_wait(page, "s")
    press_and_wait(page, "u")
    assert page.inner_text("#row p") == row and page.inner_text("#said") == "Undone: label it again"
    press_and_wait(page, "x")
    assert session.progress().unclear == 1
    # A held key and a key with Ctrl label nothing.
    page.keyboard.down("1")
    page.keyboard.down("1")
    page.keyboard.up("1")
    page.keyboard.press("Control+2")
    page.wait_for_timeout(300)
    assert session.progress().labelled == 13
    assert [e.kind for e in session._store.entries()][12:] == ["skip", "undo", "unclear", "label"]
    assert page.problems == []


def test_two_people_disagree_and_settle(served, enter):
    session, address = served
    one, other = enter(address, "Ana"), enter(address, "Bo", 390)
    assert one.inner_text("#row p") != other.inner_text("#row p")
    text = one.inner_text("#row p")
    key = next(row.text for row in session.pool.rows if row.cells["text"] == text)
    press_and_wait(one, "1")
    session.record_answer("Bo", key, "label", "trees")
    one.keyboard.press("/")
    one.wait_for_selector("#open .choices")
    assert "Ana: ships · Bo: trees" in one.inner_text("#open")
    one.keyboard.press("2")
    one.wait_for_function("() => document.querySelector('#open').innerText === 'Nothing to resolve.'")
    assert session.progress().by_label["trees"] == 1
    one.keyboard.press("u")
    one.wait_for_selector("#open .choices")
    one.keyboard.press("/")
    one.wait_for_selector("#row p")
    assert len(session.disagreements()) == 1 and one.problems == []


def test_texts_are_shown_as_text(served, enter):
    session, address = served
    evil = "<img src=x onerror=alert(1)><b>bold</b>"
    for row in session.pool.rows:
        row.cells["text"] = evil
    page = enter(address, "Ana")
    assert page.inner_text("#row p") == evil and page.locator("#row img, #row b").count() == 0
    assert page.problems == []


def test_a_server_that_is_gone_is_said(served, enter):
    session, address = served
    page = enter(address, "Ana")
    page.route("**/answer", lambda route: route.abort())
    late = time.monotonic() + 60
    while page.get_attribute("#said", "class") != "bad":
        # A key that comes while the page still waits for its row is not taken.
        page.keyboard.press("1")
        page.wait_for_timeout(200)
        assert time.monotonic() < late, "nothing was said"
    assert "Not saved" in page.inner_text("#said")
    page.unroute("**/answer")
    press_and_wait(page, "1")
    assert session.progress().labelled == 1


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_outlook_is_shown_and_no_answer_is_called_unsaved(served, enter, lang):
    """What a session of some hundred labels sends with each answer: how far the curve has come and where it leads."""
    session, address = served
    label_rows(session, "Ana", 90)
    assert session.strategy.wait(30)
    page = enter(address, "Bo", lang=lang)
    page.wait_for_selector("#curve svg")

    def with_outlook(route):
        reply = route.fetch()
        state = reply.json()
        state["progress"]["outlook"] = {"labels": 239, "since": 80, "gain": 0.001, "low": -0.018, "high": 0.02, "hardly": True, "more": 100}  # fmt: skip
        state["progress"]["stable"] = {
            "labels": 239, "changed": 0.07, "at_most": 0.15, "look": 23, "enough": False, "tolerance": 0.03,
        }  # fmt: skip
        route.fulfill(json=state)

    page.route("**/answer", with_outlook)
    press_and_wait(page, "1")
    page.wait_for_function("document.getElementById('advice').textContent.includes('+0.1')")
    said = page.inner_text("#said")
    assert said.startswith("已保存" if lang == "zh" else "Saved") and "ships" in said, said
    check_looks(page)
