"""Network files as they are, with a README of inputs and outputs, and ONNX Runtime alone that gives the server's numbers."""

import hashlib

import pytest

from exported_tables import source_of
from rung.core import registry
from rung.core.types import Examples
from rung.exporting import onnx_target
from rung.exporting.source import Source, answered_rows
from support import run_cli


@pytest.fixture
def encoder_bundle(minilm, news_rows, tmp_path):
    task = registry.task("text_classification")
    rows = news_rows[::12]
    texts, labels = [text for text, _ in rows], [label for _, label in rows]
    n = len(rows)
    schema = task.schema(["text"], labels)
    examples = Examples(
        schema, {"text": texts}, labels, [f"{i:016x}" for i in range(n)], list(range(n)), [0.0] * n
    )
    (tmp_path / "model").mkdir()
    source = source_of("frozen_encoder", examples, tmp_path / "model", effort=0, task=task.name)
    return Source(tmp_path, source.predictor), [{"text": text} for text in texts]


def test_onnx_runtime_alone_gives_what_the_server_gives(encoder_bundle, tmp_path):
    source, rows = encoder_bundle
    out = tmp_path / "out"
    out.mkdir()
    note, phones = onnx_target.write(source, out)
    assert phones.key in {"mobile", "mobile_lacks"}
    assert note.values["files"] == "encoder/model.onnx"
    (check,) = onnx_target.check(source, out, answered_rows(source, rows, "file", "rows"))
    assert check.where == "ONNX Runtime" and check.agreement.equal == check.agreement.rows >= len(rows)
    page = (out / "README.md").read_text(encoding="utf-8")
    assert "| input | `input_ids` | tensor(int64) |" in page and "| output |" in page
    assert (out / "encoder" / "tokenizer.json").is_file()
    one, two = (
        hashlib.sha256((place / "encoder" / "model.onnx").read_bytes()).hexdigest()
        for place in (out, tmp_path / "model")
    )
    assert one == two


def test_the_operators_are_those_that_the_library_reads(encoder_bundle, tmp_path):
    import onnx

    source, _ = encoder_bundle
    out = tmp_path / "out"
    out.mkdir()
    onnx_target.write(source, out)
    model = onnx.load(str(out / "encoder" / "model.onnx"))
    expected = {(node.domain or "ai.onnx", node.op_type) for node in model.graph.node}
    opsets = {item.domain or "ai.onnx": item.version for item in model.opset_import}
    lines = [
        line.split(";") for line in (out / onnx_target.OPERATORS).read_text(encoding="utf-8").splitlines()
    ]
    assert {(domain, name) for domain, _, names in lines for name in names.split(",")} == expected
    assert all(int(version) == opsets[domain] for domain, version, _ in lines)
    assert "Nothing was run on a phone" in (out / "README.md").read_text(encoding="utf-8")


def test_a_changed_file_is_noticed(encoder_bundle, tmp_path):
    import numpy as np
    import onnx
    from onnx import numpy_helper

    source, rows = encoder_bundle
    out = tmp_path / "out"
    out.mkdir()
    onnx_target.write(source, out)
    path = out / "encoder" / "model.onnx"
    model = onnx.load(str(path))
    floats = [
        one
        for one in model.graph.initializer
        if one.data_type == onnx.TensorProto.FLOAT and len(one.dims) == 1
    ]
    largest = max(floats, key=lambda one: one.dims[0])
    largest.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(largest) + np.float32(0.5), largest.name))
    onnx.save(model, str(path))
    (check,) = onnx_target.check(source, out, answered_rows(source, rows[:8], "file", "rows"))
    assert not check.agreement.is_enough


def test_what_is_no_network_is_refused(built, tmp_path):
    done = run_cli("export", built.folder, "--to", "onnx", "--out", tmp_path / "out")
    assert done.returncode == 2 and "has no ONNX file" in done.stderr and not (tmp_path / "out").exists()
