"""Metadata beside the pixels of an image file: what it says about a person, and the file without it.

Cameras and phones write where a photo was taken, their serial number and their owner's name into EXIF, and editors
copy them into XMP and comments. None of it is read by a model; none of it may leave with a bundle.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np

from rung.modalities.images.decode import has_exif, load, open_image, read_header
from rung.modalities.images.dicom import is_dicom, names_patient
from rung.modalities.images.png import write_png

LOCATION, SERIAL_NUMBER, OWNER = "location", "serial number", "owner"
_GPS_BLOCK, _EXIF_BLOCK = 0x8825, 0x8769
_SERIAL_TAGS = (0xA431, 0xA435, 0xC62F)
_OWNER_TAGS = (0xA430, 0x013B)
_ORIENTATION = 0x0112
_MAKE, _MODEL = 0x010F, 0x0110
# JPEG: markers that hold pixels or say how to read them. APP0 is JFIF, APP14 the colour transform of Adobe.
_EOI, _SOS, _APP0, _APP1, _APP14, _APP15, _COM = 0xD9, 0xDA, 0xE0, 0xE1, 0xEE, 0xEF, 0xFE
_PNG_HEAD = b"\x89PNG\r\n\x1a\n"
_PNG_METADATA = {b"eXIf", b"tEXt", b"zTXt", b"iTXt", b"tIME"}
_WEBP_METADATA = {b"EXIF", b"XMP "}
_WEBP_HAS_EXIF, _WEBP_HAS_XMP = 0x08, 0x04


def personal_metadata(data: bytes) -> frozenset[str]:
    """Return which personal data the EXIF of an image file holds: LOCATION, SERIAL_NUMBER, OWNER (of DICOM: the patient).

    Reads the header alone. A file whose EXIF cannot be read has none. Raises InputError for what is no image.
    """
    if is_dicom(data):
        return frozenset({OWNER} if names_patient(data) else ())
    image = open_image(data)
    if not has_exif(image):
        return frozenset()
    found = set()
    try:
        exif = image.getexif()
        camera = exif.get_ifd(_EXIF_BLOCK)
        if exif.get_ifd(_GPS_BLOCK):
            found.add(LOCATION)
        if any(exif.get(tag) or camera.get(tag) for tag in _SERIAL_TAGS):
            found.add(SERIAL_NUMBER)
        if any(exif.get(tag) or camera.get(tag) for tag in _OWNER_TAGS):
            found.add(OWNER)
    except Exception:  # broken EXIF raises many classes; cameras' own viewers ignore it too
        return frozenset(found)
    return frozenset(found)


def camera(data: bytes) -> str:
    """Return the maker and model of the camera that an image file names, else its size as "640 x 480".

    Reads the header alone. Raises InputError for what is no image.
    """
    header = read_header(data)
    size = f"{header.width} x {header.height}"
    if header.format == "DICOM":
        return size
    image = open_image(data)
    if not has_exif(image):
        return size
    try:
        exif = image.getexif()
        names = [" ".join(str(exif.get(tag, "")).replace("\0", " ").split())[:40] for tag in (_MAKE, _MODEL)]
    except Exception:  # broken EXIF raises many classes
        return size
    maker, model = names
    # Many models begin with their maker's name.
    return (
        " ".join(filter(None, (maker if not model.casefold().startswith(maker.casefold()) else "", model)))
        or size
    )


def strip_metadata(data: bytes) -> bytes:
    """Return an image file without EXIF, XMP, comments and other text; its pixels and orientation are the same.

    JPEG, PNG and WebP keep their compressed pixels. DICOM becomes PNG. Other formats, and files of an unusual layout, become PNG if their
    EXIF holds personal data. Raises InputError for what is no readable image.
    """
    header = read_header(data)
    strippers = {"JPEG": _strip_jpeg, "PNG": _strip_png, "WEBP": _strip_webp}
    if header.format in strippers:
        try:
            stripped = strippers[header.format](data, header.orientation)
            if read_header(stripped).orientation == header.orientation and not personal_metadata(stripped):
                return stripped
        except (ValueError, struct.error, IndexError):
            pass
    if header.format != "DICOM" and not personal_metadata(data):
        return data
    return write_png(np.asarray(load(data, least_side=1 << 30), np.uint8))


def _minimal_exif(orientation: int) -> bytes:
    """Return a TIFF block that holds the orientation alone."""
    entry = struct.pack(">HHIHH", _ORIENTATION, 3, 1, orientation, 0)
    return b"MM\x00\x2a\x00\x00\x00\x08" + struct.pack(">H", 1) + entry + struct.pack(">I", 0)


def _strip_jpeg(data: bytes, orientation: int) -> bytes:
    out = bytearray(data[:2])
    exif = b"Exif\x00\x00" + _minimal_exif(orientation)
    waiting = struct.pack(">BBH", 0xFF, _APP1, len(exif) + 2) + exif if orientation != 1 else b""
    for marker, begin, end in _jpeg_segments(data):
        if marker != _APP0 and waiting:
            out += waiting  # EXIF stands behind JFIF, before everything else.
            waiting = b""
        if marker != _COM and not (_APP1 <= marker <= _APP15 and marker != _APP14):
            out += data[begin:end]
    return bytes(out)


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield (marker, begin, end) of each segment up to the end of the image; a scan's includes its compressed pixels.

    What stands behind the image, such as a second one with EXIF of its own, is not part of it.
    """
    place = 2
    while True:
        if data[place] != 0xFF:
            raise ValueError("no marker where one must be")
        marker = data[place + 1]
        if marker == 0xFF:  # A fill byte.
            place += 1
            continue
        if marker == _EOI:
            yield marker, place, place + 2
            return
        end = place + 2 + struct.unpack_from(">H", data, place + 2)[0]
        if marker == _SOS:
            end = data.index(0xFF, end)
            # Within a scan, 0xFF 0x00 is a byte of it and 0xD0 to 0xD7 are restarts.
            while data[end + 1] == 0 or 0xD0 <= data[end + 1] <= 0xD7:
                end = data.index(0xFF, end + 2)
        yield marker, place, end
        place = end


def _strip_png(data: bytes, orientation: int) -> bytes:
    out = bytearray(_PNG_HEAD)
    place = len(_PNG_HEAD)
    while place < len(data):
        (length,) = struct.unpack_from(">I", data, place)
        name, end = data[place + 4 : place + 8], place + 12 + length
        if name not in _PNG_METADATA:
            out += data[place:end]
        if name == b"IHDR" and orientation != 1:
            exif = _minimal_exif(orientation)
            out += struct.pack(">I", len(exif)) + b"eXIf" + exif
            out += struct.pack(">I", zlib.crc32(b"eXIf" + exif))
        place = end
        if name == b"IEND":  # What stands behind it is no part of the image.
            break
    return bytes(out)


def _strip_webp(data: bytes, orientation: int) -> bytes:
    chunks = []
    for name, content in _webp_chunks(data):
        if name == b"VP8X":
            flags = content[0] & ~(_WEBP_HAS_EXIF | _WEBP_HAS_XMP)
            content = bytes([flags | (_WEBP_HAS_EXIF if orientation != 1 else 0)]) + content[1:]
        if name not in _WEBP_METADATA:
            chunks.append((name, content))
    if orientation != 1:
        chunks.append((b"EXIF", _minimal_exif(orientation)))
    body = b"".join(
        name + struct.pack("<I", len(content)) + content + b"\x00" * (len(content) % 2)
        for name, content in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 12
    while place + 8 <= len(data):
        (length,) = struct.unpack_from("<I", data, place + 4)
        yield data[place : place + 4], data[place + 8 : place + 8 + length]
        place += 8 + length + length % 2
