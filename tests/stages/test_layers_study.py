"""Layers that cannot be measured or drawn are said: in the events, in the report's facts, on its page."""

from types import SimpleNamespace

from rung.core.run import open_run
from rung.pages.architecture import layers_section
from rung.workflows import trial


def layers_of(tmp_path):
    events = []
    run = open_run(tmp_path / "run", "p", "1", "{}", lambda kind, facts: events.append((kind, facts)))
    bundle = run.folder / "trials" / "net" / "bundle" / "model"
    bundle.mkdir(parents=True)
    (bundle / "model.onnx").write_bytes(b"")
    return trial._layers(SimpleNamespace(run=run), SimpleNamespace(name="net")), events


def test_a_file_that_cannot_be_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(trial, "bundle_parts", lambda bundle: 1 // 0)
    found, events = layers_of(tmp_path)
    assert found["layers"] == [] and found["layers_problem"]
    told = [facts for kind, facts in events if kind == "not_measured"]
    assert told == [{"rung": "net", "what": "layers", "problem": found["layers_problem"]}]
    assert "The layers could not be measured: " in layers_section({"study": found}, "en")
    assert "无法测量各层：" in layers_section({"study": found}, "zh")


def test_a_network_too_large_to_draw(tmp_path, monkeypatch):
    part = SimpleNamespace(file="model/model.onnx", layers=[None] * 401)
    monkeypatch.setattr(trial, "bundle_parts", lambda bundle: [part])
    found, _ = layers_of(tmp_path)
    assert found == {"layers": [], "layers_too_many": {"model/model.onnx": 401}}
    page = layers_section({"study": found}, "en")
    assert "model/model.onnx: 401 layers, too many to draw." in page and "ONNX Runtime on one row" not in page
