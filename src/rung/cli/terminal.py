"""Print to a terminal: text of others cannot steer it, and no encoding makes printing fail.

Labels, file names and messages come from data. A control character in them could move the cursor, change the title or hide
text; a direction mark can make a label look like another one.
"""

from __future__ import annotations

import codecs
import json
import re
import sys
from collections.abc import Iterable
from typing import Any, TextIO

import click

# C0 without line feed and tab, delete, C1 (0x9B begins a sequence like ESC [), and marks that change the direction of text.
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# JSON escapes C0 itself.
_STEERING_IN_JSON = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    """Return a text with control characters as their pictures (ESC is ␛), and other steering characters as �."""
    return _STEERING.sub(lambda found: _picture(ord(found[0])), text)


def _picture(code: int) -> str:
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else "\ufffd"


def echo(text: object = "", err: bool = False, nl: bool = True) -> None:
    """Print a text, visible throughout. Colours of ours are added by `click.style` to parts that are visible."""
    click.echo(visible(str(text)), err=err, nl=nl)


def to_json(value: Any, indent: int | None = None) -> str:
    """Return JSON that any terminal takes: steering characters are escaped, and all others that it cannot show."""
    text = json.dumps(value, ensure_ascii=not _shows_unicode(sys.stdout), indent=indent, default=str)
    return _STEERING_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def print_json(value: Any, indent: int | None = 1) -> None:
    """Print one JSON document."""
    click.echo(to_json(value, indent))


def tolerate_encodings() -> None:
    """Escape what the terminal's encoding cannot show, instead of failing in the middle of a page."""
    for stream in (sys.stdout, sys.stderr):
        if not _shows_unicode(stream) and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _shows_unicode(stream: TextIO) -> bool:
    try:
        return codecs.lookup(stream.encoding or "utf-8").name.startswith("utf")
    except (LookupError, AttributeError, TypeError):
        return True


class VisibleStream:
    """Wraps standard output where it is a terminal: rows that are printed there are visible throughout."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text."""
        # A row of CSV may end in CR LF and hold line breaks in quotes.
        return self._stream.write(visible(text.replace("\r\n", "\n")))

    def writelines(self, lines: Iterable[str]) -> None:
        """Write texts."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flush the stream."""
        self._stream.flush()
