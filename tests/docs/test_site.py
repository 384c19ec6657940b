"""The site: every page is in the navigation of its language, both sites are set up alike, and nothing is loaded from elsewhere.

That it builds without a broken link, `make check` shows.
"""

import importlib.util
import re

import pytest
import yaml

from rung.cli import COMMANDS
from support import ROOT

SPEC = importlib.util.spec_from_file_location("docs_site", ROOT / "docs" / "site.py")
site = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(site)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_page_is_in_the_navigation_of_its_language(language):
    assert site.misplaced(language) == []


def test_every_chinese_page_has_an_english_one_and_each_links_to_the_other():
    found = sorted((ROOT / "docs").rglob("*.zh.md"))
    assert len(found) >= 5
    for page in found:
        other = page.with_name(page.name.replace(".zh.md", ".md"))
        if page.name == "tutorial.zh.md":
            continue  # its lines are the repository's: the README links both
        assert f"]({page.name})" in other.read_text(encoding="utf-8"), page
        assert f"]({other.name})" in page.read_text(encoding="utf-8"), page


def test_both_sites_are_set_up_alike():
    """Zensical's INHERIT joins lists, so the Chinese configuration repeats the English one."""
    english, chinese = (
        yaml.safe_load((ROOT / name).read_text(encoding="utf-8")) for name in ("mkdocs.yml", "mkdocs.zh.yml")
    )
    own = {"site_description", "site_dir", "nav", "extra", "theme"}
    assert {k: v for k, v in english.items() if k not in own} == {
        k: v for k, v in chinese.items() if k not in own
    }
    assert english["theme"]["features"] == chinese["theme"]["features"]
    assert english["theme"]["font"] is chinese["theme"]["font"] is False


@pytest.mark.parametrize("page", ["index.md", "index.zh.md"])
def test_the_home_has_every_command(page):
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert re.findall(r"\| \[`rung (\w+)`\]\(reference/cli\.md#rung-\1\) \| \S", text) == list(COMMANDS)


@pytest.mark.parametrize(
    "html,foreign",
    [
        ('<script src="https://unpkg.com/x">', True),
        ('<link rel="stylesheet" href="//fonts.example/css">', True),
        ("<link href='https://a.example/a.css' rel='preload'>", True),
        ('<img alt="x" src="http://a.example/a.png">', True),
        ('<a href="https://zensical.org/">', False),
        ('<script src="assets/iframe-worker.js">', False),
        ('<link rel="canonical" href="https://a.example/">', False),
    ],
)
def test_what_is_loaded_from_elsewhere_is_seen(html, foreign, tmp_path):
    (tmp_path / "page.html").write_text(html)
    assert bool(site.loaded(tmp_path / "page.html")) is foreign


def test_wrapped_chinese_has_no_gap():
    text = "测到的\n就是交付的：\n证书，用 rung\n构建 a b"
    assert site._WRAPPED.sub("", text) == "测到的就是交付的：证书，用 rung\n构建 a b"


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda page: page.name)
def test_a_list_has_a_blank_line_before_it(page):
    """GitHub does without; the site would make it one paragraph."""
    before, fenced = "", False
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        fenced ^= line.startswith("```")
        if not fenced and re.match(r"(- |\d+\. )", line) and before.strip():
            assert re.match(r"(- |\d+\. | )", before), f"{page.name}:{number}"
        before = line
