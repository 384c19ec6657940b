"""report.html as people see it: at a desk and on a phone, in both languages, by day and by night, and on paper."""

import copy
import re
import sys
from pathlib import Path

import pytest

from rung.pages.report import render

sys.path.insert(0, str(Path(__file__).parent))
from looks import check_laid_open, check_looks, every_look

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def pages(built, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    for lang in ("en", "zh"):
        (folder / f"{lang}.html").write_text(render(built.report, lang), encoding="utf-8")
    return folder


@every_look
def test_it_fits_and_can_be_read(visit, pages, width, lang, scheme):
    page = visit(pages / f"{lang}.html", width, scheme)
    check_laid_open(page)


@pytest.mark.parametrize("width", [1280, 390])
def test_twenty_classes_can_still_be_read(visit, built, tmp_path, width):
    wide = copy.deepcopy(dict(built.report))
    names = [f"department of long names {i}" for i in range(20)]
    wide["details"] |= {
        "labels": names,
        "confusion": [[380 if i == j else i for j in range(20)] for i in range(20)],
    }
    wide["data"]["labels"] = dict.fromkeys(names, 400)
    (tmp_path / "wide.html").write_text(render(wide), encoding="utf-8")
    page = visit(tmp_path / "wide.html", width)
    check_looks(page)
    cell = page.locator("svg rect.cell").first.bounding_box()
    digits = page.locator("svg text.mid", has_text="380").first.bounding_box()
    assert digits["width"] <= cell["width"] + 1


def test_the_field_changes_the_table(visit, pages):
    page = visit(pages / "en.html")
    before = page.locator("#yours").inner_text()
    page.get_by_label("Your requests per day:").fill("1000000")
    after = page.locator("#yours").inner_text()
    assert before != after and after.startswith("1,000,000")
    # The row made by the script says what the row without script says.
    last = page.locator("table.costs tbody tr").last.inner_text()
    by_script, by_python = (
        [float(re.sub("[$,]", "", cell)) for cell in row.split()[1:]] for row in (after, last)
    )
    assert by_script == pytest.approx(by_python, abs=1)
    page.get_by_label("Your requests per day:").fill("")
    assert page.locator("#yours").inner_text().startswith("0") and page.problems == []


def test_without_script_the_table_stands_and_no_dead_field_does(visit, pages):
    page = visit(pages / "en.html", java_script_enabled=False)
    assert page.locator("table.costs tbody tr:visible").count() == 5
    assert not page.locator("#requests").is_visible()


def test_the_keyboard_reaches_everything(visit, pages):
    page = visit(pages / "en.html")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    seen = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("document.activeElement.tagName"))
    assert {"A", "SUMMARY", "INPUT", "DIV"} <= seen


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_it_prints(visit, pages, lang, tmp_path):
    page = visit(pages / f"{lang}.html", scheme="dark")
    page.pdf(path=tmp_path / "report.pdf", format="A4")
    data = (tmp_path / "report.pdf").read_bytes()
    assert data.startswith(b"%PDF") and 2 <= data.count(b"/Type /Page\n") + data.count(b"/Type /Page ") <= 14
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("nav").is_visible()


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("width", [1280, 390])
def test_findings_can_be_read_and_opened(visit, built, tmp_path, width, lang):
    rows = [
        {
            "file": "a/long/folder/of/exports-2024.csv",
            "row": 10_000 + i,
            "excerpt": f"<p>客户来信 {i} " + "w" * 200,
            "note": "<p>",
        }
        for i in range(5)
    ]
    words = {"words": "“zip7” → 'post' (130/130)", "pure": 0.98, "covers": 0.6}
    found = [
        {"check": "leak_word", "level": "stop", "rows": 130, "of": 300, "values": words, "evidence": rows},
        {
            "check": "markup",
            "level": "warn",
            "rows": 3,
            "of": 300,
            "values": {"marks": "`br`"},
            "evidence": rows,
        },
        {
            "check": "languages",
            "level": "info",
            "rows": 3,
            "of": 300,
            "values": {"shares": "zh 90%, en 10%"},
            "evidence": [],
        },
    ]
    (tmp_path / "found.html").write_text(
        render(dict(built.report) | {"findings": found}, lang), encoding="utf-8"
    )
    page = visit(tmp_path / "found.html", width)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    check_looks(page)
    assert page.locator("#findings .box").count() == 3 and page.locator("#findings summary").count() == 2
    assert page.locator("#findings td", has_text="客户来信").first.is_visible()
