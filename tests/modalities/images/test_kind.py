"""The image kind: what it measures, what it refuses, how it shows an image."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from rung.core.blobs import Blob, BlobStore
from rung.core.errors import InputError
from rung.core.kind import kind
from rung.core.source_place import SourcePlace
from rung.core.types import Field
from rung.modalities.images import reading
from rung.modalities.images.decode import Preprocessing
from rung.modalities.images.png import write_png
from rung.modalities.images.reading import RecentImages, read_pixels
from rung.runtime.embeddings.settings import use_embedding_cache

IMAGE = kind("image")
FIELD = Field("photo", "image", "input")


def picture(seed=0, side=40):
    small = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    return Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC)


def encoded(image, form="PNG", **how):
    out = io.BytesIO()
    image.save(out, form, **how)
    return out.getvalue()


def test_a_request_sends_bytes_and_gets_measures():
    dark = encoded(Image.new("RGB", (30, 20), (51, 51, 51)))
    blob = IMAGE.reader(FIELD)({"base64": base64.b64encode(dark).decode(), "name": "dark.png"}, "row 1")
    assert blob.read() == dark and blob.name == "dark.png"
    assert blob.measures == {
        "width": 30,
        "height": 20,
        "brightness": 0.2,
        "contrast": 0.0,
        "sharpness": 0.0,
        "animated": 0.0,
    }


@pytest.mark.parametrize("value", [b"<html>no</html>", b"", "/etc/passwd", encoded(picture())[:200], 7])
def test_what_is_no_image_is_an_error_with_its_field(value):
    with pytest.raises(InputError) as caught:
        IMAGE.reader(FIELD)(value, "row 1")
    assert "photo" in caught.value.problem and caught.value.where == "row 1" and caught.value.fix


def test_a_source_says_why_a_file_cannot_be_used(tmp_path):
    place = SourcePlace(BlobStore(tmp_path / "store", tmp_path), tmp_path)
    (tmp_path / "外套").mkdir()
    (tmp_path / "外套" / "一.png").write_bytes(encoded(picture()))
    assert IMAGE.parse("外套/一.png", place).measures["width"] == 40
    (tmp_path / "broken.png").write_bytes(encoded(picture())[:300])
    (tmp_path / "page.jpg").write_text("<html>")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "link.png").symlink_to("/etc/hostname")
    for name, reason in (
        ("broken.png", "unreadable"),
        ("page.jpg", "unreadable: "),
        ("empty.jpg", "empty_file"),
        ("link.png", "outside_folder"),
        ("none.png", "missing_file"),
    ):
        with pytest.raises(ValueError, match=reason):
            IMAGE.parse(name, place)


def test_equal_content_is_one_image_whatever_it_is_called():
    one, other = Blob.of(encoded(picture()), "a.png"), Blob.of(encoded(picture()), "b.png")
    assert IMAGE.identity(one) == IMAGE.identity(other) != IMAGE.identity(Blob.of(encoded(picture(1))))


def test_near_vectors_of_one_picture_saved_twice_are_near():
    def vector(data):
        return IMAGE.near_vector(Blob.of(data))

    one = vector(encoded(picture(side=200)))
    assert np.isclose(np.linalg.norm(one), 1, atol=1e-5)
    for other in (
        encoded(picture(side=200), "JPEG", quality=60),
        encoded(picture(side=200).resize((90, 90))),
        encoded(picture(side=200).point(lambda level: level * 0.8)),
    ):
        assert one @ vector(other) >= IMAGE.near_least
    assert one @ vector(encoded(picture(1, 200))) < 0.9
    assert vector(encoded(Image.new("L", (50, 50), 90))) is None and IMAGE.near_vector(None) is None


def test_pages_show_a_thumbnail_without_metadata():
    exif = Image.Exif()
    exif[0x010F] = "SECRETCAMERA"
    blob = Blob.of(encoded(picture(side=400), "JPEG", exif=exif), '<b>"x".jpg')
    shown = IMAGE.preview_html(blob)
    assert shown.startswith("<img") and "<b>" not in shown and len(shown) < 8_000
    small = base64.b64decode(shown.partition("base64,")[2].partition('"')[0])
    assert max(Image.open(io.BytesIO(small)).size) == 96 and b"SECRETCAMERA" not in small
    assert IMAGE.preview_html(Blob(blob.sha256, blob.size, "x.jpg")) == "x.jpg"


def test_an_image_is_decoded_once_for_checking_and_answering(monkeypatch):
    calls = []
    whole = reading.load
    monkeypatch.setattr(reading, "load", lambda *a: calls.append(1) or whole(*a))
    blob = IMAGE.reader(FIELD)(encoded(picture(9)), "row 1")
    read_pixels([blob, blob], Preprocessing(8, 8))
    assert len(calls) == 1


def test_recent_images_are_bounded():
    recent = RecentImages(most_pixels=5 * 1600)
    for seed in range(9):
        recent.load(Blob.of(encoded(picture(seed))))
    assert recent._pixels <= 5 * 1600 and len(recent._kept) == 5
    recent.load(Blob.of(encoded(picture(3, side=200))))
    assert len(recent._kept) == 5


def test_a_build_decodes_no_image_twice(tmp_path, monkeypatch):
    images = [Blob.of(encoded(picture(seed))) for seed in range(6)]
    way = Preprocessing(8, 8)
    plain = read_pixels([*images, None], way)
    assert plain.shape == (7, 8, 8, 3) and (plain[6] == 255).all()
    with use_embedding_cache(tmp_path, 2):
        assert np.array_equal(read_pixels([*images, None], way), plain)
        monkeypatch.setattr(reading, "_decode", None)
        assert np.array_equal(read_pixels(images[::-1], way), plain[:6][::-1])


def test_png_without_pillow():
    for pixels in (np.asarray(picture()), np.asarray(picture().convert("L"))):
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(write_png(pixels)))), pixels)
