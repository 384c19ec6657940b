"""Iterate over the lines of a text file in any supported encoding."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator
from copy import copy
from typing import Self

from rung.core.errors import DataError
from rung.core.files import sha256
from rung.data.sources.encoding import Encoding, detect
from rung.data.sources.files import File
from rung.data.sources.rows import Table

# A line or a cell beyond this is no table or a quote that was never closed: reading on would fill the memory.
MAX_LINE = 1 << 26


class TextTable(Table):
    """A table in a text file."""

    def __init__(self, file: File, columns: tuple[str, ...], encoding: Encoding) -> None:
        self.file = file
        self.name = file.name
        self.columns = columns
        self.characters = encoding
        self.encoding = encoding.name

    def portable(self) -> Self | None:
        other = copy(self)
        other.file = self.file.absolute()
        return other

    def hashes(self) -> Iterator[tuple[str, str]]:
        yield self.name, sha256(self.file.path)


def open_text(file: File, asked: str | None, opener: Callable[[File, Encoding], TextTable]) -> TextTable:
    """Return what `opener` makes of a text file, in the encoding asked for or detected."""
    if asked:
        try:
            codecs.lookup(asked)
        except LookupError:
            raise DataError(
                f"there is no character encoding '{asked}'", file.name, "Leave it out to have it detected."
            ) from None
    encoding = Encoding(asked) if asked else detect(file)
    try:
        return opener(file, encoding)
    except UnicodeError:
        raise undecodable(file, encoding) from None


def undecodable(file: File, encoding: Encoding) -> DataError:
    """Return the error for a file that is not in one encoding all through."""
    fix = "Save the file as UTF-8. If the spec has a `data.encoding`, is it the right one?"
    return DataError(f"the file is not {encoding.name} all through", file.name, fix)


def lines(file: File, encoding: Encoding) -> Iterator[str]:
    """Yield lines with their ends. A mixed file comes as Latin-1, byte for character, to be decoded by cell."""
    name = "latin-1" if encoding.mixed else encoding.name
    mark = codecs.BOM_UTF8.decode("latin-1") if encoding.mixed else "\ufeff"
    with file.text(name) as stream:
        # Only \n and \r end a line of a table; NEL and friends do not, and text files split as we wish.
        readline, longest = stream.readline, MAX_LINE - len(mark)
        line = readline(MAX_LINE).removeprefix(mark)
        number = 1
        while line:
            if len(line) >= longest and line[-1] not in "\r\n":
                raise DataError(
                    f"line {number} has more than {MAX_LINE >> 20} million characters",
                    file.name,
                    "Is this the table? Each row must be on a line of its own.",
                )
            yield line
            line = readline(MAX_LINE)
            number += 1


def decode_cell(cell: str, encoding: Encoding) -> str:
    """Return a cell of a mixed file as its text; raises UnicodeDecodeError."""
    return cell.encode("latin-1").decode(encoding.name) if encoding.mixed and not cell.isascii() else cell
