"""Networks in a browser export: ONNX Runtime for WebAssembly and tokenizers give the server's answers, or say why not."""

import json
import shutil
import subprocess

import numpy as np
import pytest
from test_browser_images import digits

from exported_tables import examples_of, nasty, source_of
from rung.core import registry
from rung.core.errors import RungError
from rung.core.manifest import Manifest
from rung.core.types import Examples
from rung.exporting import browser, browser_checks, browser_runtime
from rung.exporting.source import Source, answered_rows
from rung.exporting.target import ExportRefused
from rung.modalities.images.decode import Preprocessing
from rung.modalities.images.network_model import ImageNetworkFile
from rung.runtime.linear.head import Calibration
from rung.serving.predictor import Predictor

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="no Node.js")


def checked(source, folder, rows):
    (folder / "out").mkdir()
    source = Source(folder, source.predictor)
    source.predictor.packed_examples = lambda: ([], [])
    notes = browser.write(source, folder / "out")
    return notes, browser_checks.check(source, folder / "out", rows)


def news_examples(news_rows, step):
    texts, labels = zip(*news_rows[::step], strict=True)
    n = len(texts)
    schema = registry.task("text_classification").schema(["text"], labels)
    return Examples(
        schema,
        {"text": list(texts)},
        list(labels),
        [f"{i:016x}" for i in range(n)],
        list(range(n)),
        [0.0] * n,
    )


@needs_node
def test_a_sentence_encoder_answers_as_by_the_server(minilm, browser_runtime, news_rows, tmp_path):
    examples = news_examples(news_rows, 14)
    (tmp_path / "model").mkdir()
    source = source_of("frozen_encoder", examples, tmp_path / "model", effort=0, task="text_classification")
    asked = [*examples.inputs["text"][:12], "ΑΣ ΟΔΟΣ", "a", "word " * 700, "<s> [CLS] é\u0301"]
    rows = answered_rows(source, [{"text": text} for text in asked], "file", "rows")
    notes, found = checked(source, tmp_path, rows)
    assert notes[0].key == "browser_network" and float(notes[0].values["mb"]) < 4.0
    for check in found:
        assert check.agreement.equal == len(rows), check.agreement.differing
        # In 8 bits a level may round the other way on another processor.
        assert check.agreement.largest_difference < 0.02
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "script-src 'self' file: 'wasm-unsafe-eval';" in page and "connect-src" not in page
    licences = (tmp_path / "out" / "licences.txt").read_text(encoding="utf-8")
    assert "onnxruntime-web 1.30.0" in licences and "Apache License" in licences


@pytest.fixture
def image_network(tmp_path):
    """A network of one layer over grey images of 14 pixels a side."""
    onnx = pytest.importorskip("onnx")
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    examples = digits(60)
    labels = examples.schema.labels
    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node("Cast", ["images"], ["levels"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Flatten", ["levels"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
    ]
    weights = numpy_helper.from_array(rng.normal(0, 0.002, (196, len(labels))).astype(np.float32), "weights")
    graph = helper.make_graph(
        nodes, "net",
        [helper.make_tensor_value_info("images", onnx.TensorProto.UINT8, ["n", 14, 14, 1])],
        [helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["n", len(labels)])], [weights],
    )  # fmt: skip
    content = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    ).SerializeToString()
    family = registry.model("scratch_cnn")
    model = family(labels, ImageNetworkFile.of(content, Preprocessing(14, 14, "grey")), Calibration(), {})
    (tmp_path / "model").mkdir()
    model.save(tmp_path / "model")
    manifest = Manifest(
        "net", "1", "0", "image_classification", "scratch_cnn", "scratch_cnn", "", examples.schema, {}
    )
    return Source(
        tmp_path, Predictor(manifest, registry.task("image_classification"), model, tmp_path)
    ), examples


@needs_node
def test_a_network_of_images_answers_as_by_the_server(image_network, browser_runtime, tmp_path):
    source, examples = image_network
    rows = answered_rows(source, examples.records(), "file", "rows")
    _, found = checked(source, tmp_path, rows)
    for check in found:
        assert check.agreement.equal == len(rows) == 60, check.agreement.differing
        assert check.agreement.largest_difference < 1e-6
    assert not (tmp_path / "out" / "tokenizers.js").exists()
    code = "WebAssembly.validate = () => false;\ntry { await import('./index.mjs'); } catch (error) { console.log(error.message); }\n"
    (tmp_path / "out" / "try.mjs").write_text(code, encoding="utf-8")
    said = subprocess.run(
        [shutil.which("node"), "try.mjs"], cwd=tmp_path / "out", capture_output=True, text=True, check=True
    )
    assert "no WebAssembly with SIMD" in said.stdout and "Safari 16.4" in said.stdout


@needs_node
@pytest.mark.parametrize("labels", [0, 3])
def test_networks_of_tables_need_no_runtime(labels, tmp_path, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setattr(browser_checks, "chromium", lambda: None)
    inputs, score = nasty(160)
    targets = [f"label {int(s > 0) + int(s > 1)}" for s in score] if labels else score.tolist()
    examples = examples_of("tabular_classification" if labels else "tabular_regression", inputs, targets)
    (tmp_path / "model").mkdir()
    params = {"members": 2, "width": 6, "layers": 2, "epochs": 1, "bags": 2}
    source = source_of("mlp_table", examples, tmp_path / "model", 0, params=params)
    notes, (found,) = checked(source, tmp_path, answered_rows(source, examples.records(), "file", "rows"))
    assert notes[0].key == "browser" and not (tmp_path / "out" / "runtime.js").exists()
    assert found.agreement.equal == 160, found.agreement.differing


def test_a_tokenizer_that_javascript_does_not_have_is_refused(minilm, news_rows, tmp_path):
    (tmp_path / "model").mkdir()
    examples = news_examples(news_rows, 40)
    source = source_of("frozen_encoder", examples, tmp_path / "model", effort=0, task="text_classification")
    path = tmp_path / "model" / "encoder" / "tokenizer.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**settings, "pre_tokenizer": {"type": "UnicodeScripts"}}), encoding="utf-8")
    (tmp_path / "out").mkdir()
    with pytest.raises(ExportRefused, match="'UnicodeScripts'"):
        browser.write(Source(tmp_path, source.predictor), tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_without_the_runtime_nothing_is_written(image_network, tmp_path, monkeypatch):
    def fail(name):
        raise RungError("the npm registry did not give it", name, "Check the network.")

    monkeypatch.setattr(browser_runtime, "fetch", fail)
    source, _ = image_network
    (tmp_path / "out").mkdir()
    with pytest.raises(RungError, match="npm registry"):
        browser.write(source, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_a_module_becomes_a_script():
    made = browser_runtime.classic_script(
        "var a=1;u(import.meta.url);export{a as Tensor,b as default};", "T", ("Tensor",), "x"
    )
    assert "globalThis.T = { Tensor: a };" in made and "import.meta" not in made and "export" not in made
    with pytest.raises(RungError, match="does not export"):
        browser_runtime.classic_script("var a=1;", "T", ("Tensor",), "x")
