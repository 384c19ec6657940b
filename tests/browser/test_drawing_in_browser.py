"""A digit drawn with the mouse on the page of an exported image product is answered in the tab."""

import sys
from pathlib import Path

import pytest

from rung.workflows.export import export

sys.path.insert(0, str(Path(__file__).parent))
from looks import check_looks

pytestmark = pytest.mark.browser
SPEC = """name: strokes
task: image_classification
data: {path: images}
bar: {metric: accuracy, at_least: 0.5}
budget: {effort: 0, threads: 1}
ladder: [pixels_linear]
"""


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    """The page of a product that tells a stroke down from one across."""
    import numpy as np

    import rung
    from rung.modalities.images.png import write_png

    folder, rng = tmp_path_factory.mktemp("strokes"), np.random.default_rng(0)
    for label in ("across", "down"):
        (folder / "images" / label).mkdir(parents=True)
        for number in range(60):
            image = np.zeros((28, 28), np.uint8)
            place, begin = rng.integers(12, 16), rng.integers(3, 6)
            image[place : place + 2, begin : begin + 20] = rng.integers(180, 256)
            image += rng.integers(0, 9, image.shape).astype(np.uint8)
            (folder / "images" / label / f"{number}.png").write_bytes(
                write_png(image if label == "across" else image.T)
            )
    (folder / "product.yaml").write_text(SPEC, encoding="utf-8")
    done = rung.build(folder / "product.yaml", run=folder / "run")
    return export(done.folder, "browser", out=folder / "tab").folder


def draw(page, points):
    box = page.locator("canvas.pad").bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=6)
    page.mouse.up()


@pytest.mark.parametrize(("lang", "width"), [("en", 1200), ("zh", 390)])
def test_a_drawing_is_answered(tab, visit, lang, width):
    page = visit(tab / "index.html", width)
    page.goto(f"{(tab / 'index.html').as_uri()}?lang={lang}")
    assert not page.locator("#answer *").count()
    draw(page, [(0.2, 0.4), (0.8, 0.42)])
    page.wait_for_selector("#answer .value:text('across')")
    check_looks(page)
    page.locator("button").click()
    page.wait_for_selector("#answer .value", state="detached")
    draw(page, [(0.7, 0.2), (0.72, 0.9)])
    page.wait_for_selector("#answer .value:text('down')")
    assert page.locator("canvas.seen").get_attribute("width") == "28"


def test_a_file_is_answered(tab, visit):
    page = visit(tab / "index.html")
    (file, *_) = sorted((tab.parent / "images" / "down").glob("*.png"))
    page.set_input_files("input[type=file]", file)
    page.wait_for_selector("#answer .value:text('down')")
    page.set_input_files("input[type=file]", tab / "index.html")
    page.wait_for_selector("#answer .problem")


def test_a_browser_without_simd_is_told_what_it_lacks(tab, visit, browser_runtime, tmp_path):
    """The page of a network, in a browser that lacks what it needs: words in the language of the page."""
    import json
    import shutil

    from rung.exporting import browser
    from rung.exporting.browser_runtime import write_runtime

    shutil.copytree(tab, tmp_path / "tab")
    scripts = "".join(f'<script src="{name}"></script>' for name in write_runtime(tmp_path / "tab", False))
    page = (tmp_path / "tab" / "index.html").read_text(encoding="utf-8")
    (tmp_path / "tab" / "index.html").write_text(
        page.replace('<script src="predict.js">', scripts + '<script src="predict.js">'), encoding="utf-8"
    )
    model = (tmp_path / "tab" / "model.js").read_text(encoding="utf-8")
    content = json.loads(model[model.index("{") : model.rindex("}") + 1])
    reading = content["json"]["head.json"]["extractor"]["preprocessing"]
    content["json"] = {
        "network.json": {"preprocessing": reading, "calibration": {"kind": "temperature", "scale": 1.0}}
    }
    content["tensors"] = {"model.onnx": ""}
    (tmp_path / "tab" / "model.js").write_text(
        f"globalThis.RUNG_MODEL = {json.dumps(content)};", encoding="utf-8"
    )
    (tmp_path / "tab" / "predict.js").write_text(
        "WebAssembly.validate = () => false;\n" + browser.code(),
        encoding="utf-8",
    )
    for lang, words in (("en", "no WebAssembly with SIMD"), ("zh", "不支持带 SIMD 的 WebAssembly")):
        shown = visit(tmp_path / "tab" / "index.html")
        shown.goto(f"{(tmp_path / 'tab' / 'index.html').as_uri()}?lang={lang}")
        shown.wait_for_selector(f"#answer .problem:has-text('{words}')")
