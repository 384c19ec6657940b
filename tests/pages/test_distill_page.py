"""Pages on language models show what a model or the data said as text, never as markup."""

import pytest

from rung.core.messages import LANGUAGES
from rung.pages.cascade import cascade_chart
from rung.pages.distill import render

EVIL = "<script>alert('x')</script><img src=x onerror=alert(1)>"


def distilled():
    return {
        "product": EVIL,
        "teacher": {"name": EVIL, "right": 9, "rows": 10, "accuracy": 0.9, "interval": [0.8, 0.95], "floor": 0.5, "usd_per_1k": 0.3},
        "asked": {"labels": 100, "rounds": 3, "usd": 0.1, "why": "flat", "dropped": 2},
        "curve": [{"labels": 50, "accuracy": 0.8}], "gold": {"train": 50, "certification": 40},
        "student": {"rung": EVIL, "usd_per_1k": 0.001, "certificate": EVIL}, "break_even_rows": 300,
        "synthetic": {"rows": 3, "labels": [{"label": EVIL, "asked": 5, "copies": 1, "other": 1}], "left_out": [EVIL]},
    }  # fmt: skip


@pytest.mark.parametrize("lang", LANGUAGES)
def test_what_a_teacher_says_is_escaped(lang):
    page = render(distilled(), lang)
    assert "<img" not in page and "<script>alert" not in page and page.count("&lt;script&gt;") >= 4


@pytest.mark.parametrize("lang", LANGUAGES)
def test_names_in_the_chart_of_a_cascade_are_escaped(lang):
    point = {"within": 0.005, "handed_on": 0.2, "score": 0.85, "usd_per_1k": 0.1}
    told = {
        "rungs": [EVIL, EVIL], "handed_on": 0.2, "usd_per_1k": 0.1, "dear": {"usd_per_1k": 0.5}, "curve": [point, point | {"handed_on": 1.0}],
    }  # fmt: skip
    alone = [
        {
            "name": EVIL,
            "price": price,
            "score": score,
            "low": score,
            "high": score,
            "won": False,
            "floor": False,
        }
        for price, score in ((1.0, 0.8), (500.0, 0.86))
    ]
    report = {"cascade": told, "metric": "accuracy", "bar": [{"at_least": 0.9}]}
    html = cascade_chart(report, alone, lang)
    assert "<img" not in html and "<script>" not in html and "20%" in html
    assert cascade_chart(report | {"cascade": {}}, alone, lang) == ""
