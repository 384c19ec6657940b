"""Images in a browser export: decoded, resized and answered as the server does it."""

import base64
import io
import json
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from exported_tables import source_of
from rung.core import registry
from rung.core.blobs import Blob
from rung.core.types import Examples
from rung.exporting import browser, browser_checks
from rung.exporting.browser_images import drawing_frame
from rung.exporting.devtools import HeadlessChromium
from rung.exporting.source import Source, answered_rows
from rung.modalities.images.decode import Preprocessing, decode
from rung.modalities.images.features import hog, pixels
from rung.modalities.images.png import write_png

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="no Node.js")
needs_chromium = pytest.mark.skipif(browser_checks.chromium() is None, reason="no Chromium")
WAYS = [
    Preprocessing(28, 28, "grey"),
    Preprocessing(64, 48, "rgb", "crop"),
    Preprocessing(20, 30, "grey", "pad"),
    Preprocessing(40, 40, "rgb", "stretch", "area"),
    Preprocessing(33, 21, "rgb", "crop", "bilinear", 0.875, least_side=16),
    Preprocessing(33, 33, "grey", "pad", "area", background=0, least_side=9),
]
READ = """(async () => {
  const out = [];
  for (const file of IN.files) for (const way of IN.ways) {
    const read = await rung.parts.readPixels(rung.parts.bytesOf(file), way);
    out.push([Array.from(read.data), rung.parts.hogFeatures(read, [4, 7], 1), rung.parts.pixelFeatures(read, 14, 1)]);
  }
  return JSON.stringify(out);
})()"""


def pngs():
    """PNG files of every kind: colours, depths, palettes, transparency, turned, interlaced, larger than is needed."""
    rng = np.random.default_rng(0)
    found = []

    def keep(image, **how):
        file = io.BytesIO()
        image.save(file, "PNG", **how)
        found.append(file.getvalue())

    for height, width in ((28, 28), (91, 37), (40, 130), (1, 1), (300, 5)):
        for channels in (1, 2, 3, 4):
            levels = rng.integers(0, 256, (height, width, channels)).astype(np.uint8)
            image = Image.fromarray(levels[..., 0] if channels == 1 else levels)
            keep(image)
            if channels in (1, 3):
                keep(image, transparency=5 if channels == 1 else (1, 2, 3))
    grey = Image.fromarray(rng.integers(0, 256, (33, 21)).astype(np.uint8))
    keep(grey.convert("1"))
    keep(Image.fromarray(rng.integers(0, 65536, (33, 21)).astype(np.uint16)))
    for bits in (1, 2, 4, 8):
        image = Image.fromarray(np.asarray(grey) >> (8 - bits)).convert("P")
        image.putpalette(rng.integers(0, 256, 3 * (1 << bits)).astype(np.uint8).tobytes())
        keep(image, bits=bits)
        keep(image, bits=bits, transparency=1)
    exif = Image.Exif()
    for turn in range(1, 9):
        exif[0x0112] = turn
        keep(Image.fromarray(rng.integers(0, 256, (40, 28, 3)).astype(np.uint8)), exif=exif)
    return found


def held_to_pillow(files, out):
    """Assert that levels are equal and features too, but for rounding."""
    for number, (file, way) in enumerate((file, way) for file in files for way in WAYS):
        expected = decode(file, way)
        levels, gradients, means = out[number]
        assert levels == expected.ravel().tolist(), (number, way)
        np.testing.assert_allclose(gradients, hog(expected[None], [4, 7])[0], atol=5e-6)
        np.testing.assert_allclose(means, pixels(expected[None], 14)[0], atol=1e-6)


def asked(files):
    content = {
        "files": [base64.b64encode(file).decode() for file in files],
        "ways": [way.as_dict() for way in WAYS],
    }
    return f"globalThis.IN = {json.dumps(content)};\n"


@needs_node
def test_png_is_read_and_resized_bit_by_bit(tmp_path):
    files = pngs()
    (tmp_path / "predict.js").write_text(browser.code(), encoding="utf-8")
    (tmp_path / "in.js").write_text(asked(files), encoding="utf-8")
    code = f'import "./predict.js"; import "./in.js"; import {{ writeFileSync }} from "node:fs";\nwriteFileSync("out.json", await {READ});'
    (tmp_path / "run.mjs").write_text(code, encoding="utf-8")
    subprocess.run(
        [shutil.which("node"), "run.mjs"], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    held_to_pillow(files, json.loads((tmp_path / "out.json").read_text(encoding="utf-8")))


@needs_chromium
def test_photos_are_read_in_a_browser_as_pillow_reads_them(tmp_path):
    from sklearn.datasets import load_sample_image

    photo = Image.fromarray(load_sample_image("china.jpg"))
    exif = Image.Exif()
    exif[0x0112] = 6
    files = []
    for kind, how in (
        ("JPEG", {"quality": 75}),
        ("JPEG", {"progressive": True, "exif": exif}),
        ("WEBP", {}),
        ("BMP", {}),
    ):
        file = io.BytesIO()
        photo.crop((0, 0, 301, 203)).save(file, kind, **how)
        files.append(file.getvalue())
    (tmp_path / "predict.js").write_text(browser.code(), encoding="utf-8")
    (tmp_path / "in.js").write_text(
        asked(files).replace('"least_side": 9', '"least_side": 512'), encoding="utf-8"
    )
    page = tmp_path / "page.html"
    page.write_text(
        '<meta charset="utf-8"><script src="predict.js"></script><script src="in.js"></script>',
        encoding="utf-8",
    )
    with HeadlessChromium(browser_checks.chromium(), 60) as opened:
        out = json.loads(
            opened.value(page, READ.replace("IN.ways", "IN.ways.map((way) => ({...way, least_side: 512}))"))
        )
    for number, (file, way) in enumerate((file, way) for file in files for way in WAYS):
        from dataclasses import replace

        assert out[number][0] == decode(file, replace(way, least_side=512)).ravel().tolist(), (number, way)


def digits(count):
    """Rows of scikit-learn's digits, light on dark, in the middle of a larger image."""
    from sklearn.datasets import load_digits

    found = load_digits()
    levels = np.zeros((count, 14, 14), np.uint8)
    levels[:, 3:11, 3:11] = (found.images[:count] * 15.9).astype(np.uint8)
    images = [Blob.of(write_png(image), f"{i}.png") for i, image in enumerate(levels)]
    task = registry.task("image_classification")
    labels = [str(label) for label in found.target[:count]]
    schema = task.schema(["image"], sorted(set(labels)))
    ids = [f"{i:016x}" for i in range(count)]
    return Examples(schema, {"image": images}, labels, ids, list(range(count)), [0.0] * count)


@needs_node
@pytest.mark.parametrize("family", ["pixels_linear", "hog_linear"])
def test_images_are_answered_as_by_the_server(family, tmp_path):
    examples = digits(400)
    (tmp_path / "model").mkdir()
    source = source_of(family, examples, tmp_path / "model", effort=0, task="image_classification")
    source = Source(tmp_path, source.predictor)
    source.predictor.packed_examples = lambda: (
        [],
        [{"image": image} for image in examples.inputs["image"][:9]],
    )
    assert drawing_frame(source, WAYS[0]) == {"side": 14, "inner": 8, "paper": 0, "ink": 255}
    assert drawing_frame(source, WAYS[1]) is None
    rows = answered_rows(source, examples.records(), "file", "rows")
    (tmp_path / "out").mkdir()
    notes = browser.write(source, tmp_path / "out")
    assert [note.key for note in notes] == ["browser", "browser_images"]
    checks = browser_checks.check(source, tmp_path / "out", rows)
    assert checks[0].where == "Node.js" and len(checks) == 1 + (browser_checks.chromium() is not None)
    for found in checks:
        assert found.agreement.equal == len(rows) == 400, found.agreement.differing
        assert found.agreement.largest_difference < 1e-5
    code = (
        'import { predict } from "./index.mjs";\n'
        'console.log(JSON.stringify(await predict([{image: {width: 2, height: 2, data: new Uint8Array(4)}}, "bm8=", {image: 3}, {image: null}])));\n'
    )
    (tmp_path / "out" / "try.mjs").write_text(code, encoding="utf-8")
    said = subprocess.run(
        [shutil.which("node"), "try.mjs"], cwd=tmp_path / "out", capture_output=True, text=True, check=True
    )
    answers = json.loads(said.stdout)
    assert "label" in answers[0] and [list(one) for one in answers[1:]] == [["error"]] * 3
    assert "only PNG images are read" in answers[1]["error"]


def test_rows_that_node_cannot_read_are_left_to_the_browser():
    from rung.exporting.source import Rows

    file = io.BytesIO()
    Image.new("RGB", (9, 9)).save(file, "JPEG")
    inputs = [{"image": Blob.of(file.getvalue())}, {"image": Blob.of(pngs()[0])}, {"image": None}]
    assert len(browser_checks._for_node(Rows(inputs, [1, 2, 3], "file"))) == 2
