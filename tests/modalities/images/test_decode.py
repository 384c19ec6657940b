"""Decoding is one function whose results do not change: golden pixels, and what no image may do to a server."""

import io
import json
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rung.core.errors import BundleError, InputError
from rung.modalities.images import decode as decoding
from rung.modalities.images.decode import Preprocessing, decode, load, read_header

FILES = Path(__file__).parent / "files"
GOLDEN = json.loads((FILES / "pixels.json").read_text())
WAYS = {
    "rgb": Preprocessing(4, 3),
    "grey-crop": Preprocessing(3, 3, "grey", "crop", zoom=0.8),
    "pad-area": Preprocessing(4, 4, "rgb", "pad", "area"),
}
# Lossy decoders may round differently between their versions.
ROUNDING = {".jpg": 2, ".webp": 2}
TURNS = {
    2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE",
    6: "ROTATE_90", 7: "TRANSVERSE", 8: "ROTATE_270",
}  # fmt: skip


def drawing():
    """A picture without symmetry, 64 x 48."""
    grey = np.linspace(0, 255, 64 * 48).reshape(48, 64).astype(np.uint8)
    pixels = np.stack([grey, 255 - grey, np.roll(grey, 7, 1)], -1)
    pixels[5:20, 5:30] = [200, 30, 30]
    return Image.fromarray(pixels)


def encoded(image, form, **how):
    out = io.BytesIO()
    image.save(out, form, **how)
    return out.getvalue()


def difference(one, other):
    return int(np.abs(one.astype(int) - other.astype(int)).max())


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", GOLDEN)
def test_golden_pixels(name, way):
    found = decode((FILES / name).read_bytes(), WAYS[way])
    wanted = np.array(GOLDEN[name][way]).reshape(WAYS[way].shape)
    assert difference(found, wanted) <= ROUNDING.get(Path(name).suffix, 0)


def test_the_golden_files_show_one_picture():
    """Sixteen files of the same picture: whatever the format, the pixels are nearly those of the plain PNG."""
    plain = decode((FILES / "photo.png").read_bytes(), WAYS["rgb"])
    for name in (
        "photo.bmp",
        "photo.tif",
        "photo.gif",
        "photo.jpg",
        "photo.webp",
        "turned.jpg",
        "cmyk.jpg",
        "large.jpg",
    ):
        assert difference(decode((FILES / name).read_bytes(), WAYS["rgb"]), plain) <= 12, name
    grey = decode((FILES / "grey16.png").read_bytes(), WAYS["grey-crop"])
    for name in ("photo.png", "grey.jpg"):
        assert difference(decode((FILES / name).read_bytes(), WAYS["grey-crop"]), grey) <= 3, name


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_every_orientation_of_exif(form, orientation):
    stored = drawing() if orientation == 1 else drawing().transpose(Image.Transpose[TURNS[orientation]])
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(stored, form, exif=exif, **({"lossless": True} if form == "WEBP" else {}))
    header = read_header(data)
    assert (header.width, header.height, header.orientation) == (64, 48, orientation)
    plain = decode(encoded(drawing(), "PNG"), Preprocessing(16, 12))
    assert difference(decode(data, Preprocessing(16, 12)), plain) <= (20 if form == "JPEG" else 0)


def test_sixteen_bits_are_scaled_and_not_saturated():
    levels = np.array([[0, 257, 32_768, 65_535]], np.uint16)
    for form in ("PNG", "TIFF"):
        found = decode(encoded(Image.fromarray(levels), form), Preprocessing(4, 1, "grey"))
        assert found.tolist() == [[0, 1, 128, 255]]


def test_transparent_pixels_show_the_background():
    clear = Image.new("RGBA", (8, 8), (200, 0, 0, 0))
    assert decode(encoded(clear, "PNG"), Preprocessing(2, 2)).min() == 255
    assert decode(encoded(clear, "PNG"), Preprocessing(2, 2, background=0)).max() == 0
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([0, 0, 0, 10, 20, 30])
    assert decode(encoded(palette, "PNG", transparency=1), Preprocessing(1, 1)).tolist() == [[[255] * 3]]
    assert decode(encoded(palette, "PNG"), Preprocessing(1, 1)).tolist() == [[[10, 20, 30]]]


def test_the_first_frame_of_an_animation_is_read():
    data = (FILES / "moving.gif").read_bytes()
    assert read_header(data).animated and not read_header((FILES / "photo.gif").read_bytes()).animated
    still = decode((FILES / "photo.png").read_bytes(), WAYS["rgb"])
    assert difference(decode(data, WAYS["rgb"]), still) <= 40


def test_fitting_another_aspect_ratio():
    wide = Image.new("L", (40, 20), 10)
    wide.paste(200, (10, 0, 30, 20))
    data = encoded(wide, "PNG")
    assert decode(data, Preprocessing(4, 4, "grey", "crop", "area")).tolist() == [[200] * 4] * 4
    padded = decode(data, Preprocessing(4, 4, "grey", "pad", "area"))
    assert padded.tolist() == [[255] * 4, [10, 200, 200, 10], [10, 200, 200, 10], [255] * 4]
    assert decode(data, Preprocessing(4, 4, "grey", "stretch", "area")).tolist() == [[10, 200, 200, 10]] * 4


def test_large_images_are_scaled_down_while_they_are_read():
    rng = np.random.default_rng(0)
    large = Image.fromarray(rng.integers(0, 255, (30, 40, 3), np.uint8)).resize(
        (2400, 1800), Image.Resampling.NEAREST
    )
    for form in ("JPEG", "PNG"):
        loaded = load(encoded(large, form))
        assert min(loaded.size) >= decoding.LEAST_SIDE and max(loaded.size) < 2400
    small = decode(encoded(large, "PNG"), Preprocessing(40, 30, resample="area"))
    assert difference(small, np.asarray(large.resize((40, 30), Image.Resampling.BOX))) <= 1


HTML = b"<!DOCTYPE html><html><body>Not found</body></html>"
BAD = {
    b"": "an empty file",
    HTML: "an HTML page",
    b"%!PS-Adobe-3.0 EPSF-3.0\n": "an EPS or PostScript file",
    b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00": "a HEIC image",
    b"\x00\x00\x00\x18ftypavif\x00\x00\x00\x00": "an AVIF image",
    b"<svg xmlns='http://www.w3.org/2000/svg'/>": "an SVG",
    b"%PDF-1.7": "a PDF",
    b"PK\x03\x04....": "a zip archive",
    "héllo".encode(): "a text",
    b"\x00\x01\x02\xff\xfe": "a file of an unknown kind",
}


@pytest.mark.parametrize("data", BAD, ids=lambda data: repr(data[:12]))
def test_what_is_no_image_is_named(data):
    for read in (read_header, lambda d, w: decode(d, Preprocessing(), w)):
        with pytest.raises(InputError) as caught:
            read(data, "coat.jpg")
        assert BAD[data] in caught.value.problem and caught.value.where == "coat.jpg" and caught.value.fix


@pytest.mark.parametrize("name", [name for name in GOLDEN if name != "moving.gif"])
def test_a_file_cut_short_is_an_error_or_an_image(name):
    """At every length: never another exception. Half a file is always an error."""
    data = (FILES / name).read_bytes()
    for length in {*range(0, len(data), max(len(data) // 40, 1)), len(data) // 2}:
        try:
            decode(data[:length], Preprocessing(4, 4))
        except InputError as error:
            assert error.fix
        else:
            assert length > len(data) // 2


def test_changed_bytes_never_raise_anything_else():
    rng = np.random.default_rng(0)
    for name in GOLDEN:
        data = bytearray((FILES / name).read_bytes())
        for _ in range(25):
            broken = bytearray(data)
            for place in rng.integers(0, len(data), 6).tolist():
                broken[place] = int(rng.integers(0, 256))
            for read in (read_header, lambda d: decode(d, Preprocessing(4, 4))):
                try:
                    read(bytes(broken))
                except InputError as error:
                    assert error.problem


def test_size_is_refused_from_the_header():
    """A PNG of a few kB that would take gigabytes: refused before a pixel is decoded."""
    small = encoded(Image.new("L", (64, 64)), "PNG")
    for width, height in ((20_000, 20_000), (50_001, 2), (2**31 - 1, 2**31 - 1)):
        head = width.to_bytes(4, "big") + height.to_bytes(4, "big")
        data = bytearray(small)
        data[16:24] = head
        data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
        with pytest.raises(InputError) as caught:
            decode(bytes(data), Preprocessing(), "bomb.png")
        assert "pixels" in caught.value.problem and caught.value.fix


def test_one_pixel():
    found = decode(encoded(Image.new("RGB", (1, 1), (9, 8, 7)), "PNG"), Preprocessing(5, 5, "rgb", "crop"))
    assert found.reshape(-1, 3).tolist() == [[9, 8, 7]] * 25


def test_pixels_whose_range_is_unknown_are_refused():
    for mode in ("F", "I"):
        with pytest.raises(InputError, match="32-bit"):
            decode(encoded(drawing().convert("L").convert(mode), "TIFF"), Preprocessing())


def test_threads_give_the_same_pixels():
    data = [(FILES / name).read_bytes() for name in GOLDEN] * 4
    one = [decode(item, WAYS["rgb"]).tolist() for item in data]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda item: decode(item, WAYS["rgb"]).tolist(), data)) == one


def test_parameters_survive_json_and_unknown_ones_are_refused():
    way = WAYS["grey-crop"]
    assert Preprocessing.from_dict(json.loads(json.dumps(way.as_dict()))) == way
    with pytest.raises(BundleError, match="sharpen"):
        Preprocessing.from_dict(way.as_dict() | {"sharpen": True})
