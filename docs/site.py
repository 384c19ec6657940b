"""Build the pages of docs/ into site/, English and Chinese: `python docs/site.py`.

Each language is built by Zensical, strictly, as a site of its own that reads without a network. What it does not do
is done here: each page stands in the site of its language only, nothing is loaded from another host, and the
navigation is visible on small laptops.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
SITE = ROOT / "site"
DOCS = ROOT / "docs"
# language -> its configuration, where it is written, and where the other one is from there.
SITES = {"en": ("mkdocs.yml", SITE, "zh"), "zh": ("mkdocs.zh.yml", SITE / "zh", "..")}
# The theme's own address of the script that lets search run from disk, and our copy of it.
_SHIM, _OURS = "https://unpkg.com/iframe-worker/shim", "assets/iframe-worker.js"
# Where a line of Chinese was wrapped, a browser would show a space.
_WRAPPED = re.compile(
    r"(?<=[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef])[ \n]+(?=[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef])"
)
# Width from which the theme shows the navigation beside the text, in styles and script: 1,220 pixels; 1,100 here.
_NARROWER = {"76.25em": "68.75em", "76.234375em": "68.734375em"}
_WIDE = re.compile(r"76\.25em|76\.234375em")
_LOADED = re.compile(
    r"""<(?:script|img|iframe|source|video|audio)\b[^>]*\bsrc=["'](?:https?:)?//[^"']+|"""
    r"""<link\b(?=[^>]*rel=["'](?:stylesheet|preconnect|preload|icon))[^>]*href=["'](?:https?:)?//[^"']+""",
    re.I,
)


def main() -> None:
    shutil.rmtree(SITE, ignore_errors=True)
    for language, (config, folder, other) in SITES.items():
        missing = misplaced(language)
        if missing:
            raise SystemExit(f"{config}: {'; '.join(missing)}")
        command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean", "--config-file", config]
        if subprocess.run(command, cwd=ROOT, env={**os.environ, "NO_COLOR": "1"}, check=False).returncode:
            raise SystemExit(f"{config}: the site has the faults above.")
        for page in sorted(folder.rglob("*.html")):
            inside = page.relative_to(folder)
            if language == "en" and inside.parts[0] == "zh":
                continue
            if inside.name != "404.html" and language_of(inside.as_posix()) != language:
                page.write_text(
                    redirect("../" * (len(inside.parts) - 1) + f"{other}/{inside.as_posix()}"),
                    encoding="utf-8",
                )
                continue
            up = "../" * (len(inside.parts) - 1) or "./"
            text = page.read_text(encoding="utf-8").replace(_SHIM, up + _OURS)
            page.write_text(_WRAPPED.sub("", text), encoding="utf-8")
        for style in [*folder.rglob("*.css"), *folder.rglob("*.js")]:
            text = style.read_text(encoding="utf-8")
            style.write_text(_WIDE.sub(lambda found: _NARROWER[found[0]], text), encoding="utf-8")
        own_search(folder, language)
    foreign = sorted({found for page in SITE.rglob("*.html") for found in loaded(page)})
    if foreign:
        raise SystemExit("loaded from another host: " + ", ".join(foreign))
    print(f"{sum(1 for _ in SITE.rglob('*.html'))} pages in {SITE.relative_to(ROOT)}/")


def language_of(page: str) -> str:
    """Return the language of a page by its name: intent.zh.md, intent.zh.html."""
    return "zh" if re.search(r"\.zh\.(md|html)$", page) else "en"


def in_navigation(entry: Any) -> Iterator[str]:
    """Yield every page of a navigation."""
    if isinstance(entry, str):
        yield entry
    else:
        for inner in entry if isinstance(entry, list) else entry.values():
            yield from in_navigation(inner)


def misplaced(language: str) -> list[str]:
    """Return what is wrong with a navigation: entries that are no page, pages of the language that are no entry."""
    config = yaml.safe_load((ROOT / SITES[language][0]).read_text(encoding="utf-8"))
    listed = list(in_navigation(config["nav"]))
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    own = {page for page in pages if language_of(page) == language}
    return [f"no page {page}" for page in listed if page not in pages] + [
        f"{page} is in no navigation" for page in sorted(own - set(listed))
    ]


def redirect(to: str) -> str:
    """Return a page that leads to another one, with scripts or without."""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>rung</title><link rel="canonical" href="{to}">'
        f'<meta http-equiv="refresh" content="0; url={to}"><script>location.replace("{to}"+location.hash)</script>'
        f'<p><a href="{to}">{to}</a></html>\n'
    )


def own_search(folder: Path, language: str) -> None:
    """Keep the pages of one language in its search."""
    index = json.loads((folder / "search.json").read_text(encoding="utf-8"))
    index["items"] = [
        item for item in index["items"] if language_of(item["location"].partition("#")[0]) == language
    ]
    text = _WRAPPED.sub("", json.dumps(index, ensure_ascii=False))
    (folder / "search.json").write_text(text, encoding="utf-8")
    (folder / "search.js").write_text(f"var __index = {text}", encoding="utf-8")


def loaded(page: Path) -> list[str]:
    """Return what a page loads from another host; links to follow are no load."""
    return _LOADED.findall(page.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
