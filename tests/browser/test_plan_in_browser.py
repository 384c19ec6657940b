"""plan.html as people see it: at a desk and on a phone, in both languages, by day and by night, and on paper."""

import sys
from pathlib import Path

import pytest

from rung.building.plan_summary import Wishes
from rung.pages.plan import render_plan
from rung.workflows.plan import plan

sys.path.insert(0, str(Path(__file__).parent))
from looks import check_laid_open, every_look

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def pages(news_csv, tmp_path_factory):
    folder = tmp_path_factory.mktemp("plans")
    found = plan(news_csv, wishes=Wishes(2.5, ("personal", "credit", "health", "generative"))).as_dict()
    for lang in ("en", "zh"):
        (folder / f"{lang}.html").write_text(render_plan(found, lang), encoding="utf-8")
    return folder


@every_look
def test_it_fits_and_can_be_read(visit, pages, width, lang, scheme):
    page = visit(pages / f"{lang}.html", width, scheme)
    check_laid_open(page)
    assert page.locator("li.go, li.slow, li.stop").count() == 8


def test_it_prints(visit, pages, tmp_path):
    page = visit(pages / "zh.html")
    page.pdf(path=tmp_path / "plan.pdf", format="A4")
    assert (tmp_path / "plan.pdf").read_bytes().startswith(b"%PDF")
