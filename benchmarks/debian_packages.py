"""Descriptions of Debian packages with the tags that people gave them: real texts with several labels each.

The package lists are fetched by `apt-get update` into the cache of the benchmarks: descriptions in English and in Chinese
(Translation files of the archive), tags from the Packages file (debtags.debian.org). Libraries hardly have such tags; what
is left is a few thousand programs.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from sets import CACHE

_CONFIG = '#clear Acquire::Languages;\nAcquire::Languages { "en"; "zh_CN"; };\n'
# What a program is for, and what it works with.
_FACETS = ("use::", "works-with::")
_LANGUAGES = {"en": "Description-en", "zh": "Description-zh_CN"}


def tagged_packages(lang: str = "en", least: int = 100) -> list[tuple[str, list[str]]]:
    """Return (description, tags) of the packages with at least one tag of the two facets, shuffled with one Random(0).

    least: a tag with fewer packages is left out. One package a source package: the others of it are near copies.
    """
    lists = _lists()
    texts = dict(_descriptions(lists, _LANGUAGES[lang]))
    found: dict[str, tuple[str, list[str]]] = {}
    for entry in _entries(lists, "_binary-amd64_Packages"):
        names = [tag.strip() for tag in entry.get("Tag", "").replace("\n", " ").split(",")]
        kept = [name for name in names if name.startswith(_FACETS) and "TODO" not in name]
        text = texts.get(entry.get("Description-md5", ""), "")
        if kept and text:
            source = entry.get("Source", entry["Package"]).split(" ")[0]
            found.setdefault(source, (text, kept))
    counts = Counter(tag for _, kept in found.values() for tag in kept)
    rows = [(text, [tag for tag in kept if counts[tag] >= least]) for text, kept in found.values()]
    rows = sorted((text, kept) for text, kept in rows if kept)
    random.Random(0).shuffle(rows)
    return rows


def packages_of_maintainers(maintainers: int, rows: int) -> list[tuple[str, str]]:
    """Return (description, maintainer) of packages of those who keep most, shuffled.

    rows: at most, over all. What is drawn is drawn with one Random(0).
    """
    lists = _lists()
    texts = dict(_descriptions(lists, _LANGUAGES["en"]))
    found: dict[str, str] = {}
    for entry in _entries(lists, "_binary-amd64_Packages"):
        text = texts.get(entry.get("Description-md5", ""), "")
        if text:
            found.setdefault(text, entry["Maintainer"].partition(" <")[0])
    counts = Counter(found.values())
    names = {name for name, _ in sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:maintainers]}
    kept = sorted((text, name) for text, name in found.items() if name in names)
    random.Random(0).shuffle(kept)
    return kept[:rows]


def _descriptions(lists: Path, key: str) -> Iterator[tuple[str, str]]:
    for entry in _entries(lists, "_i18n_Translation-"):
        if key in entry:
            lines = ("" if line.strip() == "." else line.strip() for line in entry[key].splitlines())
            yield entry["Description-md5"], "\n".join(lines).strip()


def _entries(lists: Path, kind: str) -> Iterator[dict[str, str]]:
    """Yield the entries of the lists of this kind, the main archive's alone."""
    for path in sorted(lists.glob(f"*_dists_*{kind}*")):
        if "security" in path.name or "updates" in path.name:
            continue
        reader = {".lz4": "lz4cat", ".xz": "xzcat", ".gz": "zcat"}.get(path.suffix, "cat")
        text = subprocess.run([reader, str(path)], capture_output=True, check=True).stdout.decode()
        for block in text.split("\n\n"):
            entry: dict[str, str] = {}
            key = ""
            for line in block.splitlines():
                if line[:1] in {" ", "\t"} and key:
                    entry[key] += "\n" + line[1:]
                elif ":" in line:
                    key, _, value = line.partition(":")
                    entry[key] = value.strip()
            if "Package" in entry:
                yield entry


def _lists() -> Path:
    """Return the folder of the package lists, fetched once."""
    home = CACHE / "debian-lists"
    lists = home / "lists"
    if not list(lists.glob("*_Packages*")):
        if not shutil.which("apt-get"):
            sys.exit("the lists of Debian packages are fetched by apt-get, which is not here")
        (lists / "partial").mkdir(parents=True, exist_ok=True)
        (home / "languages.conf").write_text(_CONFIG, encoding="utf-8")
        settings = ["-c", str(home / "languages.conf"), "-o", f"Dir::State::lists={lists}"]
        subprocess.run(["apt-get", "update", "-q", *settings, "-o", f"Dir::Cache={home}"], check=True)
    return lists
