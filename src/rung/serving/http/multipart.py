"""Parses `multipart/form-data` (RFC 7578) that is in memory. Irregular input is refused, not repaired."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from rung.core.errors import InputError

# Limits for the headers of one part, which contain a field name and a file name.
_MAX_PART_HEADER_BYTES = 8 << 10
_MAX_PART_HEADERS = 16
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER = re.compile(rf';\s*(?:({_TOKEN})\s*=\s*("(?:[^"\\]|\\.)*"|[^\s;"]*)\s*)?')
_HEADER_NAME = re.compile(_TOKEN)
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# RFC 2046, 5.1.1.
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
_FIX = "Send it as `curl -F` and browsers do: multipart/form-data with a boundary, one part per value."


@dataclass(frozen=True)
class Part:
    """One part of a form. filename: None for a plain value, "" for a file without a name."""

    name: str
    content: bytes
    filename: str | None = None


def parse_multipart(content_type: str, body: bytes, max_parts: int) -> list[Part]:
    """Return the parts in order. Raises InputError for a body that is cut off, nested, malformed, or has too many parts."""
    delimiter = b"--" + _boundary(content_type)
    position = 2 if body.startswith(b"\r\n") else 0
    if not body.startswith(delimiter, position):
        raise _malformed("the body does not begin with its boundary")
    position += len(delimiter)
    parts: list[Part] = []
    while not body.startswith(b"--", position):
        if len(parts) == max_parts:
            raise InputError(
                f"the form has more than {max_parts:,} parts", "body", "Send fewer rows at a time."
            )
        start, headers = _part_headers(body, position)
        end = body.find(b"\r\n" + delimiter, start)
        if end < 0:
            raise _malformed(f"part {len(parts) + 1} is cut off")
        name, filename = _disposition(headers)
        parts.append(Part(name, body[start:end], filename))
        position = end + 2 + len(delimiter)
    return parts


def is_multipart(content_type: str) -> bool:
    """Return whether a Content-Type is multipart; any other multipart type than form-data is refused later."""
    return content_type[:10].lower() == "multipart/"


def _boundary(content_type: str) -> bytes:
    kind, parameters = _header_value(content_type)
    if kind != "multipart/form-data":
        raise InputError(f"'{kind[:60]}' is not accepted", "Content-Type", _FIX)
    found = parameters.get("boundary", "")
    if not _BOUNDARY.fullmatch(found):
        raise InputError("the boundary is missing or malformed", "Content-Type", _FIX)
    return found.encode()


def _part_headers(body: bytes, position: int) -> tuple[int, dict[str, str]]:
    """Return the position of a part's content, and its headers by lower-case name."""
    line_end = body.find(b"\r\n", position, position + _MAX_PART_HEADER_BYTES)
    if line_end < 0 or body[position:line_end].strip(b" \t"):
        raise _malformed("the body is cut off, or its boundary occurs inside a part")
    end = body.find(b"\r\n\r\n", line_end, line_end + _MAX_PART_HEADER_BYTES)
    if end < 0:
        cut = len(body) < line_end + _MAX_PART_HEADER_BYTES
        raise _malformed("the headers of a part are " + ("cut off" if cut else "larger than 8 KB"))
    lines = body[line_end + 2 : end].split(b"\r\n") if end > line_end else []
    if len(lines) > _MAX_PART_HEADERS:
        raise _malformed(f"a part has more than {_MAX_PART_HEADERS} headers")
    headers: dict[str, str] = {}
    for line in lines:
        try:
            name, colon, value = line.decode("utf-8").partition(":")
        except UnicodeDecodeError:
            raise _malformed("a header of a part is not UTF-8") from None
        name = name.lower()
        if not colon or not _HEADER_NAME.fullmatch(name) or name in headers or _CONTROL.search(value):
            raise _malformed("a header of a part is malformed or repeated")
        headers[name] = value.strip()
    return end + 4, headers


def _disposition(headers: Mapping[str, str]) -> tuple[str, str | None]:
    """Return the name of a part and its file name."""
    kind, parameters = _header_value(headers.get("content-disposition", ""))
    name = parameters.get("name", "")
    if kind != "form-data" or not name:
        raise _malformed("a part has no `Content-Disposition: form-data` with a name")
    if is_multipart(headers.get("content-type", "")):
        raise _malformed(f"the part '{name[:60]}' is a form itself; parts are not nested")
    if headers.get("content-transfer-encoding", "binary").lower() not in {"binary", "8bit", "7bit"}:
        raise _malformed(f"the part '{name[:60]}' is encoded; parts must not be encoded")
    filename = parameters.get("filename")
    if "filename*" in parameters:
        # RFC 5987, as older clients send it: charset'language'percent-encoded.
        filename = unquote(parameters["filename*"].rpartition("'")[2], errors="replace")
    return name, filename


def _header_value(text: str) -> tuple[str, dict[str, str]]:
    """Return the value of a header before its parameters, in lower case, and the parameters."""
    value = text.partition(";")[0]
    position, parameters = len(value), dict[str, str]()
    while position < len(text):
        match = _PARAMETER.match(text, position)
        if match is None or (match[1] or "").lower() in parameters:
            raise _malformed("a header's parameters are malformed or repeated")
        if match[1]:
            parameters[match[1].lower()] = _unquoted(match[2])
        position = match.end()
    return value.strip().lower(), parameters


def _unquoted(text: str) -> str:
    if text[:1] != '"':
        return text
    # Browsers percent-encode three characters, curl escapes two with a backslash.
    text = re.sub(r'\\(["\\])', r"\1", text[1:-1])
    return text.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")


def _malformed(problem: str) -> InputError:
    return InputError(problem, "body", _FIX)
