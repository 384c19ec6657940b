"""report.html: whole without the net, safe whatever the data holds, and honest about where figures come from."""

import copy
import json
import re
from html.parser import HTMLParser

import pytest

from rung.pages.costs import break_even_requests
from rung.pages.report import render

EVIL = "<script>alert('x')</script><img src=x onerror=alert(1)>"


class Outline(HTMLParser):
    """Collects headings, tags, attributes and ids; checks that tags close."""

    VOID = {"meta", "input", "br", "line", "circle", "rect", "polyline"}

    def __init__(self):
        super().__init__()
        self.open, self.levels, self.tags, self.attributes, self.ids = [], [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self.ids += [value for name, value in attrs if name == "id"]
        if re.fullmatch(r"h\d", tag):
            self.levels.append(int(tag[1]))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def outline(html):
    found = Outline()
    found.feed(html)
    assert not found.open
    return found


@pytest.fixture
def report(built):
    return json.loads((built.folder / "report.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_one_file_that_asks_the_net_for_nothing(report, lang):
    html = render(report, lang)
    found = outline(html)
    assert not {"link", "img", "iframe", "object"} & set(found.tags)
    for name, value in found.attributes:
        assert name not in {"src", "style"} and not name.startswith("on"), name
        assert name != "href" or value.startswith("#")
    assert "default-src 'none'" in html and "http://" not in html and "https://" not in html
    assert f'<html lang="{"zh-CN" if lang == "zh" else "en"}">' in html


def test_headings_stand_in_order_and_every_link_has_its_place(report):
    found = outline(render(report))
    assert found.levels[0] == 1 and found.levels.count(1) == 1
    assert all(b - a <= 1 for a, b in zip(found.levels, found.levels[1:], strict=False))
    links = [value[1:] for name, value in found.attributes if name == "href"]
    assert set(links) <= set(found.ids) and len(found.ids) == len(set(found.ids))


def test_every_picture_has_words_and_a_table_behind_it(report):
    html = render(report)
    pictures = html.count("<svg")
    assert pictures >= 4 and html.count("<figure>") == pictures == html.count("<desc>") == html.count(
        "</details>"
    ) - folds(html)
    assert html.count("certification rows are not included") >= 4


def folds(html):
    """Details with no picture before them: the rest of a list, and the rows that show a finding."""
    return html.count("</summary><ol") + html.count("<summary>Example rows</summary>")


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_whatever_the_data_holds_is_escaped(report, lang):
    evil = copy.deepcopy(report)
    label = evil["details"]["labels"][0]
    text = json.dumps(evil).replace(json.dumps(label), json.dumps(EVIL))
    evil = json.loads(text)
    evil["product"] = EVIL
    evil["data"]["quarantined"] = {EVIL: 3}
    evil["data"]["encoding"] = {EVIL: EVIL}
    for mistake in evil["details"]["mistakes"]:
        mistake["input"] = EVIL
    shown = {"file": EVIL, "row": 1, "excerpt": EVIL, "note": EVIL}
    values = {"words": EVIL, "pure": 0.98, "covers": 0.6}
    evil["findings"] = [
        {"check": check, "level": "stop", "rows": 1, "of": 2, "values": values, "evidence": [shown]}
        for check in ("leak_word", "of a plugin")
    ]
    for example in evil["study"]["why"]["examples"]:
        example |= {"input": EVIL, "reasons": [{"text": EVIL, "weight": 1.0}]}
    html = render(evil, lang)
    assert html.count("<script>") == 1 and "<img" not in html and "&lt;script&gt;alert" in html
    assert outline(html).tags.count("script") == 1


def test_without_certificate_study_or_language_model_it_still_stands(report):
    bare = copy.deepcopy(report) | {"certificate": None, "cleared": False, "study": {}}
    bare["costs"]["llm"] = None
    for lang in ("en", "zh"):
        html = render(bare, lang)
        assert outline(html).levels[0] == 1
    assert "No model clears the bar" in render(bare)
    old = {k: v for k, v in bare.items() if k not in {"study", "costs", "advice_items", "built", "title"}}
    assert outline(render(old)).levels[0] == 1


def test_chinese_leaves_no_english_sentence_of_ours(report):
    html = render(report, "zh")
    body = re.sub(r"<(script|style)>.*?</\1>", "", html, flags=re.S)
    for english in ("Leaderboard", "Certificate", "held-out", "rows", "requests per day", "confidence"):
        assert english not in re.sub(r"<[^>]+>", " ", body).replace("rows/s", ""), english


def test_many_classes_show_the_most_confused(report):
    wide = copy.deepcopy(report)
    n = 30
    wide["details"]["labels"] = [f"class {i}" for i in range(n)]
    wide["details"]["confusion"] = [
        [40 if i == j else int(i > 20 and j == 25) for j in range(n)] for i in range(n)
    ]
    html = render(wide)
    assert "The 20 of 30 labels with the most errors." in html and html.count('class="mid') >= 20


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_findings_stand_with_cost_remedy_and_rows(report, lang):
    shown = {"file": "a.csv", "row": 7, "excerpt": "hello <br>", "note": "<br>"}
    found = {
        "check": "markup",
        "level": "warn",
        "rows": 3,
        "of": 40,
        "values": {"marks": "`br`"},
        "evidence": [shown],
    }
    html = render(report | {"findings": [found]}, lang)
    words = {
        "en": ("Impact:", "3 of 40 rows", "HTML in the text"),
        "zh": ("影响：", "40 行中的 3 行", "文本中有 HTML"),
    }[lang]
    assert all(word in html for word in words) and "hello &lt;br&gt;" in html and "<code>br</code>" in html
    assert 'id="findings"' in html and 'href="#findings"' in html
    assert 'id="findings"' not in render({k: v for k, v in report.items() if k != "findings"}, lang)


def test_break_even_is_where_the_machine_gets_cheaper():
    facts = {"usd_per_core_month": 36.0, "usd_per_1k": 1e-5, "busy_share": 0.3}
    n = break_even_requests(facts, 0.1)
    assert n * 30 / 1000 * 0.1 >= 36.0 > (n - 1) * 30 / 1000 * 0.1
    assert break_even_requests(facts | {"usd_per_1k": 1.0}, 0.1) is None
