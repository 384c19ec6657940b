"""The page to try a model, by the kinds of its inputs: uploads with a preview, form elements, answers that stream."""

import struct
import sys
import zlib
from pathlib import Path

import pytest

from rung.core.blobs import Blob
from rung.core.types import Field, Schema
from rung.modalities.documents.kind import FileKind
from rung.serving.http.app import create_app
from rung.serving.predictor import Predictor
from small_models import Answering, Streaming, small
from waiting import wait_until

sys.path.insert(0, str(Path(__file__).parent))
from app_in_thread import answering
from looks import check_looks, every_look

pytestmark = pytest.mark.browser
FIRST = {"photos": "photo", "table": "size", "talk": "prompt", "ranked": "history"}


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width=40, height=30):
    rows = b"".join(
        b"\0" + bytes((x % 256, y % 256, 120)[c] for x in range(width) for c in range(3))
        for y in range(height)
    )
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def told(row):
    return " | ".join(map(shown, row.values()))


def shown(value):
    if isinstance(value, Blob):
        return f"{value.name} {value.size}"
    return repr(value.item() if hasattr(value, "item") else value)


def words(row):
    yield from ("one ", "two ", "<b>three</b> ") * 10


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The address of a server with models of every kind of form element."""
    folder = tmp_path_factory.mktemp("models")
    photo = small(folder, Answering(told), name="photos", photo="file", note="text")
    table = small(
        folder, Answering(told), name="table", size="number", when="time", colour="category", tags="list"
    )
    fields = [
        Field("size", "number", "input", (), "cm"), Field("when", "time", "input", (), "dmy"),
        Field("colour", "category", "input", ("red", "绿", "<i>blue</i>")), Field("tags", "list", "input"),
    ]  # fmt: skip
    table = Predictor(
        table.manifest.__class__(**{**vars(table.manifest), "schema": Schema(tuple(fields), table.schema.outputs)}),
        table.task, table.model, folder,
    )  # fmt: skip
    talk = small(folder, Streaming(words), name="talk", prompt="text")
    ranked = small(
        folder, Answering(lambda row: ["a", "b <c>"]), name="ranked", output="list", history="list"
    )
    with answering(lambda host: create_app([photo, table, talk, ranked])) as host:
        yield f"http://{host}/"


@pytest.fixture
def open_page(chromium, address):
    contexts = []

    def open_(model, width=1280, lang="en", scheme="light"):
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
        page.on(
            "request",
            lambda r: r.url.startswith((address, "blob:")) or page.problems.append(f"asked for {r.url}"),
        )
        page.goto(address)
        page.wait_for_selector("#f0")
        if model != "photos":
            page.select_option("#model", model)
            page.wait_for_selector(f"label[for=f0]:has-text('{FIRST[model]}')")
        return page

    yield open_
    for context in contexts:
        context.close()


@every_look
def test_a_file_is_seen_before_it_is_sent(open_page, tmp_path, width, lang, scheme):
    picture = tmp_path / ("照片 with a long name " + "x" * 60 + ".png")
    picture.write_bytes(png())
    page = open_page("photos", width, lang, scheme)
    page.set_input_files("#f0", str(picture))
    page.fill("#f1", "a note")
    loaded = "document.querySelector('.preview img').naturalWidth === 40"
    wait_until(lambda: page.evaluate(loaded), "the picture is shown")
    assert picture.name in page.locator(".preview small").inner_text()
    page.click("#send")
    page.wait_for_selector("#answer > :not(.waiting)")
    assert f"{picture.stat().st_size}" in page.locator("#answer").inner_text()
    assert "'a note'" in page.locator("#answer").inner_text()
    check_looks(page)


def test_a_file_that_is_too_large_or_none_is_not_sent(open_page, tmp_path, monkeypatch):
    monkeypatch.setattr(FileKind, "max_bytes", 1 << 20)
    large = tmp_path / "large.png"
    large.write_bytes(png() + b"\0" * (1 << 20))
    page = open_page("photos")
    sent = []
    page.on("request", lambda r: r.method == "POST" and sent.append(r.url))
    page.click("#send")
    page.set_input_files("#f0", str(large))
    assert "larger than 1.0 MB" in page.locator(".preview").inner_text()
    page.click("#send")
    assert sent == []
    (tmp_path / "notes.txt").write_text("no picture")
    page.set_input_files("#f0", str(tmp_path / "notes.txt"))
    assert page.locator(".preview img").count() == 0 and "notes.txt" in page.locator(".preview").inner_text()
    page.click("#send")
    page.wait_for_selector("#answer > :not(.waiting)")
    assert "notes.txt 10" in page.locator("#answer").inner_text()


@pytest.mark.parametrize(("width", "lang"), [(1280, "en"), (390, "zh")])
def test_each_kind_has_its_form_element(open_page, width, lang):
    page = open_page("table", width, lang)
    assert page.locator("#fields label").all_inner_texts() == ["size (cm)", "when", "colour", "tags"]
    page.fill("#f0", "1.5")
    page.fill("#f1", "2024-02-29")
    page.select_option("#f2", "<i>blue</i>")
    page.fill("#f3", "[1, 2")
    page.click("#send")
    assert "JSON" in page.locator("#answer").inner_text()
    page.fill("#f3", "[1, 2]")
    page.click("#send")
    page.wait_for_selector("#answer > :not(.waiting)")
    assert page.locator("#answer").inner_text() == "1.5 | '2024-02-29' | '<i>blue</i>' | [1, 2]"
    check_looks(page)
    page = open_page("ranked", width, lang)
    page.fill("#f0", "[]")
    page.click("#send")
    page.wait_for_selector("#answer li")
    assert page.locator("#answer li").all_inner_texts() == ["a", "b <c>"]


def test_an_answer_streams(open_page):
    page = open_page("talk", 390)
    page.fill("#f0", "hello")
    page.evaluate(
        """() => { window.seen = []; new MutationObserver(() => seen.push($("answer").textContent))
        .observe($("answer"), { childList: true, subtree: true, characterData: true }); }"""
    )
    page.click("#send")
    page.wait_for_selector("#answer .long:has-text('one two')")
    page.wait_for_selector("#send:enabled")
    assert page.locator("#answer .long").inner_text().strip() == ("one two <b>three</b> " * 10).strip()
    assert any(len(text) > 0 for text in page.evaluate("seen"))
    check_looks(page)
