"""The page of a server as people use it: with a key, at a desk and on a phone, in both languages, by day and by night."""

import sys
from pathlib import Path

import pytest

import rung
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
    app = create_app([rung.load(built.bundle)], service=Service(keys=store, folder=folder))
    with answering(lambda host: app) as host:
        yield f"http://{host}/", key


@every_look
def test_a_model_is_tried(chromium, server, width, lang, scheme):
    address, key = server
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
    check_looks(page)
    context.close()


def test_the_language_is_the_reader_s():
    for header, lang in (("", "en"), ("zh-CN,zh;q=0.9,en;q=0.8", "zh"), ("en-US,en", "en"), ("de, zh;q=0.5", "zh"), ("*", "en"), ("x" * 9_000, "en")):  # fmt: skip
        assert preferred_language(header) == lang
