"""Decode and resize an image: the one function that preparing, fitting and serving share.

Its parameters ship with every bundle (`Preprocessing`), so that a served image is read exactly as a training image was.
An image is read in two steps. `load` gives it upright, in grey or RGB, scaled down by a whole number to a size that
every use can start from; `Preprocessing.apply` brings that to the size a model wants. The first step is the expensive
one, and its last results are kept, so that checking an upload and answering it decode it once.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from rung.core.errors import BundleError, InputError, MissingExtra
from rung.modalities.images.dicom import dicom_header, dicom_pixels, is_dicom
from rung.modalities.images.file_type import describe

Pixels = npt.NDArray[np.uint8]
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
# A 48-megapixel phone photo passes; 20,000 x 20,000 pixels (1.2 GB in memory) do not.
MAX_PIXELS = 50_000_000
# A longer side than this is refused whatever the area: resizing it would leave less than a pixel of the short side.
MAX_SIDE = 30_000
# The shorter side that `load` keeps at least, where the file has it: twice what most models read, so that the
# antialiased resize to their size still does the last halving.
LEAST_SIDE = 512
# EXIF orientation -> the name of Pillow's transposition that undoes it; 1 needs none.
_ORIENTATION_TAG = 0x0112
_TRANSPOSE = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
_GREY_MODES = {"1", "L", "LA", "La"}
_ALPHA_MODES = {"LA", "La", "PA", "RGBA", "RGBa"}
_AGAIN = "Export or download it again."
_SMALLER = "Scale it down first."


@dataclass(frozen=True)
class Preprocessing:
    """How a loaded image becomes an array.

    width, height: of the array, in pixels. colour: "rgb" or "grey". fit: how another aspect ratio is treated:
    "stretch" it, "crop" the centre, or "pad" with the background. resample: "bilinear" or "area", both antialiased.
    zoom: for "crop", the share of the shorter side that is kept. background: grey level behind transparent pixels and
    of the padding. least_side: see `load`. Orientation is taken from EXIF; colour profiles are ignored; of an
    animation the first frame is read.
    """

    width: int = 64
    height: int = 64
    colour: Literal["rgb", "grey"] = "rgb"
    fit: Literal["stretch", "crop", "pad"] = "stretch"
    resample: Literal["bilinear", "area"] = "bilinear"
    zoom: float = 1.0
    background: int = 255
    least_side: int = LEAST_SIDE

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape of a decoded image: (height, width) for grey, (height, width, 3) for colour."""
        return (self.height, self.width) if self.colour == "grey" else (self.height, self.width, 3)

    def apply(self, image: Any) -> Pixels:
        """Return a loaded image as uint8 of `shape`."""
        wanted = "L" if self.colour == "grey" else "RGB"
        plain = image if image.mode == wanted else image.convert(wanted)
        return np.asarray(_resize(plain, self), np.uint8).reshape(self.shape)

    def as_dict(self) -> dict[str, Any]:
        """Return the parameters for JSON."""
        return asdict(self)

    @staticmethod
    def from_dict(raw: Mapping[str, Any]) -> Preprocessing:
        """Return what `as_dict` gave; raises BundleError for a parameter that this version does not know."""
        strange = sorted(set(raw) - {field.name for field in fields(Preprocessing)})
        if strange:
            raise BundleError(
                f"images are read with '{strange[0]}', which this version does not know",
                fix="Install the version of rung that built the bundle, or build it again.",
            )
        return Preprocessing(**raw)


@dataclass(frozen=True)
class ImageHeader:
    """What the header of an image file says. width, height: as displayed, after its EXIF orientation.

    orientation: 1 to 8. animated: whether it has more than one frame or page, of which only the first is read.
    mode: Pillow's name for the kind of pixels.
    """

    format: str
    width: int
    height: int
    mode: str
    orientation: int
    animated: bool


def read_header(data: bytes, where: str = "") -> ImageHeader:
    """Return what an image's header says, without decoding its pixels.

    Raises InputError for bytes that are not an image of a known format, and for one that is too large.
    """
    if is_dicom(data):
        width, height, frames = dicom_header(data, MAX_PIXELS, where)
        return ImageHeader("DICOM", width, height, "", 1, frames > 1)
    image = open_image(data, where)
    orientation = _orientation(image)
    width, height = image.size
    if orientation >= 5 and image.format != "TIFF":  # Pillow has turned the size of a TIFF already.
        width, height = height, width
    try:
        animated = bool(getattr(image, "is_animated", False))
    except Exception:  # Pillow raises many classes on a broken second frame; the first may still be whole
        animated = True
    return ImageHeader(str(image.format), width, height, str(image.mode), orientation, animated)


def decode(data: bytes, preprocessing: Preprocessing, where: str = "") -> Pixels:
    """Return the image as uint8 of `preprocessing.shape`; see `load` for what it raises."""
    return preprocessing.apply(load(data, where, preprocessing.least_side, preprocessing.background))


def load(data: bytes, where: str = "", least_side: int = LEAST_SIDE, background: int = 255) -> Any:
    """Return the image as a Pillow image, upright, in mode L or RGB. Safe to call from several threads.

    An image whose shorter side is at least twice `least_side` is scaled down by a whole number, a JPEG while it is
    decoded. background: grey level behind transparent pixels. where: what errors call the image: a file, a row or a
    field. Raises InputError when the bytes are not an image, the image is damaged or too large, or its pixels are of a
    kind that is not read; MissingExtra without Pillow.
    """
    if is_dicom(data):
        return _reduce(pillow().fromarray(dicom_pixels(data, MAX_PIXELS, where)), least_side)
    image = open_image(data, where)
    _draft(image, least_side)
    try:
        image.load()
    except MemoryError:
        raise
    except Exception as error:  # what Pillow raises for damaged files is of a dozen classes
        raise InputError(f"the {image.format} image is damaged: {_reason(error)}", where, _AGAIN) from None
    turn = _TRANSPOSE.get(_orientation(image))
    plain = _to_colour(image, least_side, background, where)
    return plain.transpose(pillow().Transpose[turn]) if turn else plain


def pillow() -> Any:
    """Return Pillow's Image module with the formats of the allow-list registered; raises MissingExtra without it."""
    try:
        from PIL import (
            BmpImagePlugin,
            GifImagePlugin,
            Image,
            JpegImagePlugin,
            PngImagePlugin,
            TiffImagePlugin,
            WebPImagePlugin,
        )
    except ImportError:
        raise MissingExtra("reading images", "images", "pillow") from None
    del BmpImagePlugin, GifImagePlugin, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin
    return Image


def open_image(data: bytes, where: str = "") -> Any:
    """Return the Pillow image with its header read and its size checked, its pixels not decoded; see `read_header`."""
    images = pillow()
    found = describe(data)
    if not found.readable:
        raise InputError(f"this is {found.name}, not an image that can be read", where, found.fix)
    try:
        image = images.open(io.BytesIO(data), formats=FORMATS)
    except MemoryError:
        raise
    except (images.DecompressionBombError, images.DecompressionBombWarning):
        raise InputError(f"the image has more than {MAX_PIXELS:,} pixels", where, _SMALLER) from None
    except Exception:  # what Pillow raises for damaged headers is of a dozen classes
        raise InputError(f"the {found.name} is damaged: its header cannot be read", where, _AGAIN) from None
    width, height = image.size
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise InputError(
            f"the image has {width:,} x {height:,} pixels; at most {MAX_PIXELS:,} pixels, and {MAX_SIDE:,} a side, are read",
            where,
            _SMALLER,
        )
    return image


def has_exif(image: Any) -> bool:
    """Return whether EXIF can be asked for without decoding the pixels: Pillow would look behind those of a PNG."""
    return image.format != "PNG" or "exif" in image.info


def _orientation(image: Any) -> int:
    """Return the EXIF orientation, 1 where there is none or it cannot be read. Never decodes the pixels."""
    if not has_exif(image):
        return 1
    try:
        value = int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # broken EXIF raises many classes; cameras' own viewers ignore it too
        return 1
    return value if value in _TRANSPOSE else 1


def _draft(image: Any, least_side: int) -> None:
    """Let a JPEG be decoded at 1/2, 1/4 or 1/8 of its size, which costs a fraction, with the least side left."""
    shorter = min(image.size)
    if image.format in {"JPEG", "MPO"} and shorter >= 2 * least_side:
        image.draft("RGB", tuple(-(-length * least_side // shorter) for length in image.size))


def _to_colour(image: Any, least_side: int, background: int, where: str) -> Any:
    """Return the loaded image in mode L or RGB, transparent pixels over the background, scaled down."""
    mode = str(image.mode)
    if mode.startswith("I;16") or (mode == "I" and image.format == "PNG"):
        # Pillow's own conversion would saturate: everything above 255 of 65,535 would become white.
        values = np.asarray(image).astype(np.int64).clip(0, 65_535)
        return _reduce(pillow().fromarray(((values + 128) // 257).astype(np.uint8)), least_side)
    if mode in {"I", "F"}:
        raise InputError(
            f"the pixels of the {image.format} image are 32-bit numbers, whose range is not known",
            where,
            "Save it with 8 or 16 bits a channel.",
        )
    wanted = "L" if mode in _GREY_MODES else "RGB"
    try:
        if mode in _ALPHA_MODES or "transparency" in image.info:
            # Scaled down before the background is drawn: that needs the image's memory twice more.
            shown = _reduce(image.convert("RGBA"), least_side)
            behind = pillow().new("RGB", shown.size, (background,) * 3)
            behind.paste(shown, mask=shown.getchannel("A"))
            image = behind
        return _reduce(image if image.mode == wanted else image.convert(wanted), least_side)
    except ValueError:
        problem = f"the pixels of the {image.format} image are of the kind {mode}, which is not read"
        raise InputError(problem, where, "Save it as RGB.") from None


def _reduce(image: Any, least_side: int) -> Any:
    """Return the image averaged over squares of whole pixels, with the least side left."""
    factor = min(image.size) // least_side
    return image.reduce(factor) if factor > 1 else image


def _resize(image: Any, preprocessing: Preprocessing) -> Any:
    """Return the image at the wanted size, antialiased."""
    images = pillow()
    filters = {"bilinear": images.Resampling.BILINEAR, "area": images.Resampling.BOX}
    resample = filters[preprocessing.resample]
    target = (preprocessing.width, preprocessing.height)
    width, height = image.size
    if preprocessing.fit == "crop":
        scale = min(width / target[0], height / target[1]) * preprocessing.zoom
        kept = (target[0] * scale, target[1] * scale)
        left, top = (width - kept[0]) / 2, (height - kept[1]) / 2
        return image.resize(target, resample, box=(left, top, left + kept[0], top + kept[1]))
    if preprocessing.fit == "pad":
        scale = min(target[0] / width, target[1] / height)
        inner = (max(round(width * scale), 1), max(round(height * scale), 1))
        level = preprocessing.background
        whole = images.new(image.mode, target, level if image.mode == "L" else (level,) * 3)
        whole.paste(image.resize(inner, resample), ((target[0] - inner[0]) // 2, (target[1] - inner[1]) // 2))
        return whole
    return image if image.size == target else image.resize(target, resample)


def _reason(error: Exception) -> str:
    """Return the first line of what Pillow says."""
    lines = str(error).strip().splitlines()
    return lines[0][:200].rstrip(".") if lines else type(error).__name__
