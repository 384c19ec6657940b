"""Pictures of text whose text is known: cards drawn from made-up identities, and pieces of pages of real manuals.

Cards of real people belong to them, so none are published: names, phones and addresses are those of 3,000 identities of
fakenamegenerator.com in presidio-evaluator 0.3.2 (MIT), printed on cards of four layouts and photographed badly by code.
Manuals: the Guide for Debian Maintainers (debmake-doc 1.17-7, MIT) in English and Chinese, as Debian typesets it.
"""

from __future__ import annotations

import csv
import importlib
import io
import sys
import zipfile
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
from image_data import debian, debian_file
from sets import CACHE, archive

_IDENTITIES = "presidio-evaluator==0.3.2", "57614fe604e52b78e6de25b767c59265886b93bbcdc6c7e43ab2657d3f6302be"
_IDENTITIES_FILE = "presidio_evaluator/data_generator/raw_data/FakeNameGenerator.com_3000.csv"
_FONTS = "fonts-dejavu-core", "2.37-6", "8892669e51aab4dc56682c8e39d8ddb7d70fad83c369344e1e240bf3ca22bb76"
_MANUAL = "debmake-doc", "1.17-7", "f562cf744d906b9255c60d659873609ed5f40d657d99c4a6f3f5c194c24507cf"
_PDFIUM = "pypdfium2==5.15.2", "dc31aea5b0fb9fefc9b537a65f4113980b2c40798445736a7e6565bc85161e37"
FIELDS = ("name", "job", "company", "phone", "email")
_SIZE = (900, 540)
# Lines of a manual in one picture, and pixels of a point of its page.
_LINES, _SCALE = 6, 2.0
Card = tuple[bytes, dict[str, str]]


def cards(count: int, seed: int = 0) -> Iterator[Card]:
    """Yield cards as JPEG, each with its fields. count: 2,000 at most; the same ones for a seed."""
    with zipfile.ZipFile(archive(*_IDENTITIES)) as wheel:
        text = wheel.read(_IDENTITIES_FILE).decode("utf-8-sig")
    people = [row for row in csv.DictReader(io.StringIO(text)) if row["Occupation"] and row["Company"]]
    # Fonts of the package have Latin and Cyrillic letters.
    people = [row for row in people if all(ord(c) < 0x250 for c in "".join(row.values()))]
    rng = np.random.default_rng(seed)
    for place in rng.permutation(len(people))[:count].tolist():
        row = people[place]
        fields = {
            "name": f"{row['GivenName']} {row['Surname']}",
            "job": row["Occupation"],
            "company": row["Company"],
            "phone": f"+{row['TelephoneCountryCode']} {row['TelephoneNumber']}",
            "email": row["EmailAddress"],
        }
        yield _photographed(_drawn(fields, rng), rng), fields


def _drawn(fields: dict[str, str], rng: np.random.Generator) -> Any:
    """Return a card as a printer would print it: one of four layouts, light or dark."""
    from PIL import Image, ImageDraw

    dark = rng.random() < 0.25
    paper = tuple(rng.integers(20, 70, 3) if dark else rng.integers(225, 256, 3))
    ink = tuple(rng.integers(215, 256, 3) if dark else rng.integers(0, 70, 3))
    image = Image.new("RGB", _SIZE, tuple(map(int, paper)))
    draw = ImageDraw.Draw(image)
    # Place, height in pixels, and what stands before the value.
    layouts = (
        {"company": (60, 50, 40, ""), "name": (60, 190, 50, ""), "job": (60, 260, 28, ""), "phone": (60, 400, 28, "Tel. "), "email": (60, 450, 28, "")},
        {"name": (60, 60, 52, ""), "job": (60, 130, 28, ""), "company": (60, 440, 36, ""), "phone": (420, 250, 28, ""), "email": (420, 300, 26, "")},
        {"name": (330, 70, 46, ""), "job": (330, 135, 26, ""), "phone": (330, 300, 28, "Phone: "), "email": (330, 350, 28, "E-mail: "), "company": (330, 440, 34, "")},
        {"email": (50, 40, 28, ""), "phone": (50, 85, 28, "T "), "company": (50, 220, 44, ""), "name": (50, 380, 46, ""), "job": (50, 450, 28, "")},
    )  # fmt: skip
    serif = "Serif" if rng.random() < 0.4 else "Sans"
    for name, (x, y, size, before) in layouts[int(rng.integers(len(layouts)))].items():
        bold = "-Bold" if name in {"name", "company"} else ""
        words = before + fields[name]
        font = _font(f"DejaVu{serif}{bold}.ttf", size)
        wide = draw.textlength(words, font=font)
        if x + wide > _SIZE[0] - 20:
            font = _font(f"DejaVu{serif}{bold}.ttf", max(int(size * (_SIZE[0] - 20 - x) / wide), 14))
        draw.text((x, y), words, fill=tuple(map(int, ink)), font=font)
    if rng.random() < 0.5:
        accent = tuple(map(int, rng.integers(60, 200, 3)))
        draw.rectangle((0, 0, 18, _SIZE[1]), fill=accent)
    return image


def _photographed(card: Any, rng: np.random.Generator) -> bytes:
    """Return a card as a phone sees it, as JPEG: turned a little, lit from one side, out of focus, with noise."""
    from PIL import Image, ImageFilter

    table = tuple(map(int, rng.integers(60, 200, 3)))
    whole = Image.new("RGB", (_SIZE[0] + 120, _SIZE[1] + 120), table)
    whole.paste(card, (60, 60))
    whole = whole.rotate(float(rng.normal(0, 2.5)), Image.Resampling.BICUBIC, fillcolor=table)
    whole = whole.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.3, 1.6))))
    pixels = np.asarray(whole, np.float32)
    light = np.linspace(float(rng.uniform(0.6, 1.0)), float(rng.uniform(0.8, 1.15)), pixels.shape[1])
    noisy = pixels * light[None, :, None] + rng.normal(0, float(rng.uniform(2, 12)), pixels.shape)
    out = io.BytesIO()
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(out, "JPEG", quality=int(rng.integers(45, 90)))
    return out.getvalue()


def _font(name: str, size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.truetype(io.BytesIO(_unpacked(*_FONTS, name)), size)


@cache
def _unpacked(package: str, version: str, sha256: str, name: str) -> bytes:
    return debian_file(debian(package, version, sha256), name)


def manual(lang: str, count: int) -> Iterator[tuple[bytes, str]]:
    """Yield pieces of at most six lines of the manual as PNG, each with its text, spread over its pages. lang: en or zh-cn."""
    document = _pdfium().PdfDocument(_unpacked(*_MANUAL, f"debmake-doc.{lang}.pdf"))
    pieces = [
        (page, band) for page in range(15, len(document)) for band in _bands(document[page].get_textpage())
    ]
    order = np.random.default_rng(0).permutation(len(pieces))[:count]
    for place in sorted(order.tolist()):
        page, (bottom, top) = pieces[place]
        width, height = document[page].get_size()
        words = document[page].get_textpage().get_text_bounded(0, bottom, width, top)
        text = "\n".join(filter(None, (" ".join(line.split()) for line in words.splitlines())))
        image = document[page].render(scale=_SCALE).to_pil().convert("L")
        area = (0, int((height - top) * _SCALE) - 4, image.width, int((height - bottom) * _SCALE) + 4)
        out = io.BytesIO()
        image.crop(area).save(out, "PNG")
        yield out.getvalue(), text


def _bands(page: Any) -> list[tuple[float, float]]:
    """Return bottom and top, in points, of runs of lines of a page that no other line touches."""
    rects = sorted((page.get_rect(i) for i in range(page.count_rects())), key=lambda r: -r[3])
    lines: list[list[float]] = []
    for _, bottom, _, top in rects:
        if lines and top > lines[-1][0] + 0.5:  # overlaps the line above
            lines[-1][0] = min(lines[-1][0], bottom)
        else:
            lines.append([bottom, top])
    runs = [lines[i : i + _LINES] for i in range(0, len(lines), _LINES)]
    return [(run[-1][0] - 1.0, run[0][1] + 1.0) for run in runs if len(run) == _LINES]


def _pdfium() -> Any:
    """Return pypdfium2, unpacked beside the other packages: only the data of this benchmark needs it."""
    target = CACHE / _PDFIUM[0].replace("==", "-")
    if not target.is_dir():
        with zipfile.ZipFile(archive(*_PDFIUM)) as wheel:
            wheel.extractall(target)
    sys.path.insert(0, str(target))
    return importlib.import_module("pypdfium2")
