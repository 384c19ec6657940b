"""Checks of images: what shows little, what files say about people, and series of one photo."""

import io

import numpy as np
import pytest
from PIL import Image, ImageFilter

import caches
from rung.core.blobs import Blob
from rung.core.kind import kind
from rung.modalities.images.decode import load, read_header
from rung.modalities.images.metadata import personal_metadata, strip_metadata
from rung.workflows.check import check

SPEC = """name: garments
task: image_classification
data: {path: data}
bar: {metric: accuracy, at_least: 0.8}
budget: {effort: 0, threads: 1}
"""


def photo(pixels, side=96):
    return Image.fromarray(pixels).convert("RGB").resize((side, side), Image.Resampling.BICUBIC)


def tags(location=True):
    exif = Image.Exif()
    exif[0x0112] = 6
    if location:
        exif[0x013B] = "Wang"
        exif.get_ifd(0x8825).update({1: "N", 2: (31.0, 14.0, 0.0)})
        exif.get_ifd(0x8769)[0xA431] = "SN123"
    return exif


def save(path, image, **how):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **how)


def findings(folder):
    (folder / "product.yaml").write_text(SPEC)
    return {finding.check: finding for finding in check(folder / "product.yaml").findings}


@pytest.fixture
def garments():
    images, labels = caches.garments(400)
    chosen = [(p, label) for p, label in zip(images, labels, strict=True) if label in {"trouser", "bag"}]
    return chosen[:60]


def test_images_that_show_little_are_named_with_their_reason(tmp_path, garments):
    for number, (pixels, label) in enumerate(garments):
        image = photo(pixels)
        if number == 5:
            image = image.filter(ImageFilter.GaussianBlur(9))
        if number == 6:
            image = Image.new("RGB", (96, 96), (200, 180, 40))
        if number == 7:
            image = photo(pixels, 12)
        if number == 8:
            image = photo(pixels).resize((400, 24))
        save(tmp_path / "data" / label / f"{number:03}.png", image)
    found = findings(tmp_path)["image_quality"]
    # One row of these may have gone to certification, which checks never show.
    assert found.rows == sum(found.values.values()) >= 3
    notes = {item.excerpt.rpartition("/")[2]: item.note for item in found.evidence}
    wanted = {"005.png": "blurred", "006.png": "blank", "007.png": "small", "008.png": "narrow"}
    assert notes.items() <= wanted.items()


def test_usual_images_raise_no_finding(tmp_path, garments):
    for number, (pixels, label) in enumerate(garments):
        save(tmp_path / "data" / label / f"{number:03}.png", photo(pixels))
    assert not {"image_quality", "media_metadata", "bursts"} & set(findings(tmp_path))


def test_metadata_is_counted(tmp_path, garments):
    for number, (pixels, label) in enumerate(garments):
        save(
            tmp_path / "data" / label / f"{number:03}.jpg", photo(pixels), exif=tags(location=number % 2 == 0)
        )
    found = findings(tmp_path)["media_metadata"]
    assert 10 < found.rows < found.of
    assert found.values == {"location": found.rows, "serial_number": found.rows, "owner": found.rows}


@pytest.mark.parametrize("length", [3, 12])
def test_series_of_one_photo_suggest_a_group(tmp_path, length):
    rng = np.random.default_rng(0)
    for number, pixels in enumerate(caches.garments(400)[0][: 240 // length]):
        label = ("shelf", "box")[number % 2]
        for shot in range(length):
            left, top = rng.integers(0, 9, 2)
            image = photo(pixels, 104).crop((left, top, left + 96, top + 96))
            levels = np.asarray(image, np.int16) + rng.normal(0, 12, (96, 96, 1)).astype(np.int16)
            image = Image.fromarray(levels.clip(0, 255).astype(np.uint8))
            save(tmp_path / "data" / label / f"img_{number * length + shot}.png", image)
    found = findings(tmp_path)["bursts"]
    assert found.level == "warn" and found.values["pairs"] >= 0.1 * found.values["all_pairs"]


@pytest.mark.parametrize(
    "form,how", [("JPEG", {}), ("JPEG", {"progressive": True}), ("PNG", {}), ("WEBP", {})]
)
def test_stripped_files_keep_pixels_and_orientation(garments, form, how):
    out = io.BytesIO()
    photo(garments[0][0], 97).save(out, form, exif=tags(), comment=b"Wang's house", **how)
    data = out.getvalue()
    assert personal_metadata(data) == {"location", "serial number", "owner"}
    stripped = strip_metadata(data)
    assert not personal_metadata(stripped) and b"Wang" not in stripped
    assert read_header(stripped).orientation == read_header(data).orientation == 6
    assert np.array_equal(np.asarray(load(stripped)), np.asarray(load(data)))


def test_a_second_image_behind_the_first_is_cut_off(garments):
    out = io.BytesIO()
    photo(garments[0][0]).save(out, "JPEG", exif=tags())
    stripped = strip_metadata(out.getvalue() + out.getvalue())
    assert not personal_metadata(stripped) and len(stripped) < len(out.getvalue())


def test_other_formats_with_personal_data_become_png(garments):
    out = io.BytesIO()
    photo(garments[0][0]).save(out, "TIFF", exif=tags())
    stripped = strip_metadata(out.getvalue())
    assert read_header(stripped).format == "PNG" and not personal_metadata(stripped)
    assert np.array_equal(np.asarray(load(stripped)), np.asarray(load(out.getvalue())))


def test_what_ships_is_the_stripped_image(garments):
    out = io.BytesIO()
    photo(garments[0][0]).save(out, "JPEG", exif=tags())
    image = kind("image")
    shipped = image.without_metadata(Blob.of(out.getvalue(), "photo.jpg"))
    assert shipped.name == "photo.jpg" and not image.personal_metadata(shipped)
    assert image.without_metadata(shipped) is shipped
