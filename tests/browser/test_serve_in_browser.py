"""The page of a server as people use it: with a key, at a desk and on a phone, in both languages, by day and by night."""

import csv
import io
import sys
from pathlib import Path

import pytest

import rung
from rung.journal.reader import JournalReader
from rung.journal.writer import Journal
from rung.serving.http.api_keys import KeyStore
from rung.serving.http.app import create_app
from rung.serving.http.playground import preferred_language
from rung.serving.service import Service

sys.path.insert(0, str(Path(__file__).parent))
from app_in_thread import answering
from looks import check_looks, every_look

pytestmark = pytest.mark.browser
WORDS = {
    "en": ("Try the model", "Predict", "Decisive parts:", "sports"),
    "zh": ("试用模型", "预测", "判断依据：", "sports"),
}


@pytest.fixture(scope="module")
def server(built, tmp_path_factory):
    """The address of a server that asks for keys, and a key."""
    folder = tmp_path_factory.mktemp("service")
    store = KeyStore(folder)
    _, key = store.create("shop", "predict")
    reviewer = store.create("desk", "review")[1]
    journal = Journal(folder, "plain")
    app = create_app([rung.load(built.bundle)], service=Service(keys=store, folder=folder, journal=journal))
    with answering(lambda host: app) as host:
        yield f"http://{host}/", key, reviewer, folder


@every_look
def test_a_model_is_tried(chromium, server, width, lang, scheme):
    address, key, *_ = server
    locale = {"en": "en-GB", "zh": "zh-CN"}[lang]
    context = chromium.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, locale=locale
    )
    page = context.new_page()
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("request", lambda r: r.url.startswith(address) or page.problems.append(f"asked for {r.url}"))
    page.goto(address)
    title, ask, decided, label = WORDS[lang]
    assert page.locator("h1").inner_text() == title and page.locator("html").get_attribute("lang") == lang
    page.wait_for_selector("#key")
    page.fill("#key", key)
    page.click("#open")
    page.wait_for_selector("#f0")
    page.fill("#f0", "The striker scored twice in the cup final <b>& won</b>")
    page.click(f"button:text-is('{ask}')")
    page.wait_for_selector(".words")
    assert page.locator("#answer h2").inner_text() == label
    assert page.locator(".bar").count() >= 2 and decided in page.locator(".words").inner_text()
    assert page.locator("#about.good").count() == 1 and page.locator("#filled").is_hidden()
    check_looks(page)
    context.close()


@pytest.fixture
def signed_in(chromium, server):
    """The page, opened with the key of a reviewer."""
    address, _, key, _ = server
    context = chromium.new_context(locale="en-GB")
    page = context.new_page()
    page.goto(address)
    page.fill("#key", "no key")
    page.click("#open")
    page.wait_for_selector("#about:text('not valid')")
    page.fill("#key", key)
    page.keyboard.press("Enter")
    page.wait_for_selector("#f0")
    yield page
    context.close()


def test_a_reviewer_sees_an_example_and_judges_its_answer(signed_in, server):
    page, folder = signed_in, server[3]
    example = page.input_value("#f0")
    assert example and page.locator("#filled").is_visible()
    page.click("#send")
    page.click(".verdict button:has-text('Yes')")
    page.wait_for_selector(".verdict:has-text('Thank you')")
    answer = page.inner_text("#answer h2")
    page.click("#send")
    page.click(".verdict button:has-text('No')")
    other = page.locator("#correct option").first.inner_text()
    page.click(".verdict button")
    page.wait_for_selector(".verdict:has-text('Thank you')")
    with JournalReader.from_folder(folder) as reader:
        said = reader.feedback("desk")
    assert [one.answer for one in said] == [answer, other] and {one.author for one in said} == {"desk"}


def test_the_rows_of_a_file_are_predicted(signed_in, tmp_path):
    page = signed_in
    rows = ['"The striker scored, ""twice"" in the cup final"', "Shares fell\u3002", "=cmd()"] * 90
    (tmp_path / "rows.csv").write_bytes(("id;text\n" + "".join(f"{i};{row}\n" for i, row in enumerate(rows))).encode("gb18030"))  # fmt: skip
    page.click("#batch summary")
    page.set_input_files("#rows_file", tmp_path / "rows.csv")
    page.click("#rows_send")
    page.wait_for_selector("a.file")
    assert "270 rows predicted" in page.inner_text("#rows_answer") and page.locator("tr").count() == 21
    with page.expect_download() as download:
        page.click("a.file")
    saved = download.value.path().read_text(encoding="utf-8-sig")
    found = list(csv.DictReader(io.StringIO(saved)))
    assert [row["id"] for row in found] == [str(i) for i in range(270)]
    assert (
        found[0]["text"] == 'The striker scored, "twice" in the cup final' and found[0]["label"] == "sports"
    )
    assert found[2]["text"] == "'=cmd()", "a spreadsheet must not run it"
    (tmp_path / "other.csv").write_text("title\nx\n")
    page.set_input_files("#rows_file", tmp_path / "other.csv")
    page.click("#rows_send")
    page.wait_for_selector("#rows_answer .problem:has-text('no column text')")


@pytest.mark.parametrize(("lang", "title"), [("en-GB", "API documentation"), ("zh-CN", "API 文档")])
def test_the_documentation_asks_for_the_key(chromium, server, lang, title):
    address, key, *_ = server
    context = chromium.new_context(locale=lang, viewport={"width": 390, "height": 900})
    page = context.new_page()
    page.goto(address + "docs")
    assert page.inner_text("h1") == title and "/v1/models/desk" not in page.content()
    page.fill("#key", "no key")
    page.keyboard.press("Enter")
    page.wait_for_selector("#said:visible")
    page.fill("#key", key)
    page.keyboard.press("Enter")
    page.wait_for_selector("h2")
    shown = page.inner_text("main")
    assert f"curl {address.removeprefix('http://')}v1/models/desk/predict" in shown
    assert "Authorization: Bearer KEY" in shown and '"answered_by"' in shown and key not in page.content()
    page.problems = []
    check_looks(page)
    context.close()


def test_the_language_is_the_reader_s():
    for header, lang in (("", "en"), ("zh-CN,zh;q=0.9,en;q=0.8", "zh"), ("en-US,en", "en"), ("de, zh;q=0.5", "zh"), ("*", "en"), ("x" * 9_000, "en")):  # fmt: skip
        assert preferred_language(header) == lang
