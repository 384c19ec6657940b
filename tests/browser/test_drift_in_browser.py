"""drift.html and value.html as people see them: at a desk and on a phone, in both languages, by day and by night."""

import sys
from pathlib import Path

import pytest

from rung.journal.writer import Journal
from rung.monitoring.value import monthly_cost
from rung.pages import drift, value
from rung.workflows.monitor import business_value, check_drift

sys.path.insert(0, str(Path(__file__).parent))
from looks import check_laid_open, every_look

from served_rows import write_rows

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def pages(built, news_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("watched")
    sports = sorted((news_folder / "sports").glob("*.txt"))[120:280]
    journal = Journal(folder / "service", "plain")
    write_rows(journal, built, [p.read_bytes().decode("utf-8", "replace")[:500] for p in sports])
    journal.close()
    drifted, worth = (
        check_drift(built.bundle, folder / "service").report,
        business_value(built.bundle, folder / "service"),
    )
    for lang in ("en", "zh"):
        (folder / f"drift-{lang}.html").write_text(drift.render(drifted, lang), encoding="utf-8")
        (folder / f"value-{lang}.html").write_text(value.render(worth, monthly_cost, lang), encoding="utf-8")
    return folder


@every_look
@pytest.mark.parametrize("name", ["drift", "value"])
def test_it_fits_and_can_be_read(visit, pages, name, width, lang, scheme):
    page = visit(pages / f"{name}-{lang}.html", width, scheme)
    check_laid_open(page)
    assert page.locator("svg").count() >= 1
