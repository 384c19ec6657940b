"""The review page in a browser: it opens to keys that may review, keeps none of them, and everything said is in the journal."""

import sys
from pathlib import Path

import pytest

from rung.annotation.app import create_labelling_app
from rung.journal.reader import JournalReader
from rung.serving.bundle_source import set_champion
from rung.serving.http.api_keys import KeyStore
from rung.workflows.review import open_review, reviewer_identity
from support import write_spec

sys.path.insert(0, str(Path(__file__).parent))
from app_in_thread import answering
from looks import check_looks

from served_products import remember

pytestmark = pytest.mark.browser
EXTRA = "serve: {inputs: plain}\nimprove: {audit_rows: 10, audit_share: 0.5, overlap: 1.0}\n"


@pytest.fixture
def page_of(built, news_csv, news_rows, tmp_path):
    """What was served, and the address of the page over it."""
    spec = write_spec(tmp_path, news_csv, extra=EXTRA)
    folder = tmp_path / "service"
    remember(folder, built.bundle, [{"text": text} for text, _ in news_rows[::10]])
    set_champion(folder, "desk", built.bundle)
    keys = {role: KeyStore(folder).create(role, role)[1] for role in ("predict", "review", "admin")}
    with open_review(spec) as (served, session):

        def make_app(host):
            return create_labelling_app(
                session, "word", [host], "en", "Ana", "desk", reviewer_identity(served)
            )

        with answering(make_app) as host:
            yield served, f"http://{host}/word/", keys


def enter(chromium, address, key, width=1280):
    page = chromium.new_context(viewport={"width": width, "height": 900}).new_page()
    page.problems = []
    page.on("console", lambda m: page.problems.append(m.text))
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.goto(address)
    page.fill("#by", key)
    page.keyboard.press("Enter")
    return page


def press(page, key):
    before = page.inner_text("#row")
    page.keyboard.press(key)
    page.wait_for_function("before => document.getElementById('row').innerText !== before", arg=before)


@pytest.mark.parametrize("width", [1280, 390])
def test_reviewed_by_key(page_of, chromium, width):
    served, address, keys = page_of
    page = enter(chromium, address, keys["predict"], width)
    page.wait_for_function("() => document.getElementById('said').innerText.includes('may not review')")
    page = enter(chromium, address, keys["review"], width)
    page.wait_for_selector("#row p")
    assert page.get_attribute("#by", "type") == "password"
    assert keys["review"] not in page.evaluate("() => JSON.stringify(localStorage)")
    check_looks(page)
    guessed = []
    for _ in range(6):
        guessed.append(bool(page.inner_text("#guess")))
        assert page.locator(".accept").count() == guessed[-1]
        guess = page.inner_text("#guess").removeprefix("Guess: ").rpartition(" (")[0]
        press(page, "Enter" if guess else "1")
        assert page.inner_text("#said") == f"Saved: {guess}" if guess else page.inner_text("#said")
    assert page.locator("#learning").is_hidden(), "a review learns nothing by itself"
    assert True in guessed and False in guessed, "audit rows stand without the model's answer"
    press(page, "u")
    page.click("#language")
    assert page.inner_text("#said") == "" and "标注规则" in page.content()
    other = enter(chromium, address, keys["admin"], width)
    other.wait_for_selector("#row p")
    press(other, "2")
    other.keyboard.press("/")
    other.wait_for_selector("#open .choices")
    assert "admin: " in other.inner_text("#open") and "review: " in other.inner_text("#open")
    other.keyboard.press("1")
    other.wait_for_function("() => document.querySelector('#open').innerText === 'Nothing to resolve.'")
    said = JournalReader.from_journal(served.journal).feedback("desk")
    assert {one.author for one in said} == {"review", "admin"} and {one.source for one in said} == {
        "review",
        "audit",
    }
    kinds = [one.answer["rung"] for one in said if isinstance(one.answer, dict)]
    assert kinds == ["undo", "settle"] and len(said) == 9, (
        "an undo is one more record, nothing was taken away"
    )


@pytest.mark.parametrize(
    "whole,text",
    [(False, "needs 7 more: they come with further requests"), (True, "No rows left to label.")],
)
def test_after_the_last_row_it_says_what_the_audit_lacks(page_of, chromium, whole, text):
    """A round that is not complete needs rows that were not served yet: the page says so instead of sending in a circle."""
    _, address, keys = page_of

    def exhausted(route):
        state = route.fetch().json()
        state["row"] = None
        state["progress"]["audit"] = {"done": 3, "wanted": 10, "whole": whole}
        route.fulfill(json=state)

    page = chromium.new_context().new_page()
    page.route("**/next", exhausted)
    page.goto(address)
    page.fill("#by", keys["review"])
    page.keyboard.press("Enter")
    page.wait_for_function("text => document.getElementById('row').innerText.includes(text)", arg=text)
