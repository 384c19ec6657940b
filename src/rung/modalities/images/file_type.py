"""Tell what a file is by its first bytes, so that an error can name it: an HTML page called .jpg, say."""

from __future__ import annotations

from dataclasses import dataclass

_AGAIN = "Read JPEG, PNG, WebP, GIF, BMP or TIFF: save it as one of these."


@dataclass(frozen=True)
class FileType:
    """name: as errors call it. readable: whether it is an image format of the allow-list. fix: what to do if not."""

    name: str
    readable: bool
    fix: str = ""


def describe(data: bytes) -> FileType:
    """Return what these bytes are, by their beginning; never raises."""
    if not data:
        return FileType("an empty file (0 bytes)", False, "Export or download it again.")
    for start, name in _IMAGES.items():
        if data.startswith(start):
            return FileType(name, True)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return FileType("WebP image", True)
    if data[4:8] == b"ftyp":
        brand = data[8:12]
        if brand in _HEIC:
            return FileType("a HEIC image", False, _HEIC_FIX)
        if brand in {b"avif", b"avis"}:
            return FileType("an AVIF image", False, _AGAIN)
        return FileType("a video", False, "Export single frames as JPEG or PNG.")
    for start, name in _OTHERS.items():
        if data.startswith(start):
            return FileType(name, False, _AGAIN)
    head = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return FileType(
            "an HTML page", False, "The download got an error page instead of the image: get it again."
        )
    if head.startswith((b"<svg", b"<?xml")):
        return FileType("an SVG or XML file", False, _AGAIN)
    if _is_text(data[:1024], whole=len(data) <= 1024):
        return FileType(f"a text ({len(data):,} bytes)", False, "Give the bytes of the image itself.")
    return FileType(f"a file of an unknown kind ({len(data):,} bytes)", False, _AGAIN)


def _is_text(head: bytes, whole: bool) -> bool:
    """Return whether these bytes are UTF-8 without control characters; a last character may be cut unless whole."""
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        if whole or error.start < len(head) - 3:
            return False
    return not any(byte < 32 and byte not in b"\t\n\r\f" for byte in head)


_IMAGES = {
    b"\xff\xd8\xff": "JPEG image",
    b"\x89PNG\r\n\x1a\n": "PNG image",
    b"GIF87a": "GIF image",
    b"GIF89a": "GIF image",
    b"BM": "BMP image",
    b"II*\x00": "TIFF image",
    b"MM\x00*": "TIFF image",
    b"II+\x00": "TIFF image",
    b"MM\x00+": "TIFF image",
}
_HEIC = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"}
_HEIC_FIX = (
    "Save it as JPEG; on an iPhone, Settings > Camera > Formats > Most Compatible takes JPEG from the start."
)
_OTHERS = {
    b"%!PS": "an EPS or PostScript file",
    b"\xc5\xd0\xd3\xc6": "an EPS file",
    b"%PDF": "a PDF",
    b"PK\x03\x04": "a zip archive",
    b"\x1f\x8b": "a gzip archive",
    b"8BPS": "a Photoshop file",
    b"\x00\x00\x00\x0cjP  ": "a JPEG 2000 image",
    b"\xff\x0a": "a JPEG XL image",
    b"\x00\x00\x01\x00": "an icon file",
    b"\x00\x00\x00\x0cJXL ": "a JPEG XL image",
}
