"""The rungs over embeddings cross the whole road, in both languages; offline use says what to fetch."""

import json

import pytest

import rung
from rung.core.errors import SpecError
from rung.core.spec.product import Product
from rung.modalities.text import onnx_encoder
from rung.training.text import encoder_precision
from support import run_cli, write_csv

CHINESE = {
    "好评": ["房间很干净", "服务员态度很好", "早餐丰富", "位置方便", "屏幕清晰", "运行速度快", "物流很快", "非常满意", "性价比高", "值得推荐", "书写得很精彩", "下次还会来"],
    "差评": ["房间有霉味", "隔音太差", "早餐又冷又少", "位置偏僻", "屏幕有坏点", "运行很慢", "等了两周才到", "非常失望", "价格太贵", "不值得买", "印刷模糊", "再也不会来"],
}  # fmt: skip


pytestmark = pytest.mark.usefixtures("wordllama", "minilm", "e5_small")


def spec(path, ladder, **more):
    return Product.model_validate(
        {
            "name": "desk",
            "task": "text_classification",
            "data": {"path": str(path)},
            "bar": {"metric": "accuracy", "at_least": 0.8},
            "budget": {"effort": 1, "threads": 1},
            "ladder": ladder,
            **more,
        }  # fmt: skip
    )


# The Chinese product below is read by a frozen encoder.
SLOW = pytest.param("frozen_encoder", marks=pytest.mark.slow)


@pytest.mark.parametrize("name", ["static_embedding", SLOW, "blend"])
def test_an_english_product_is_certified_by_each(name, news_csv, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = rung.build(spec(news_csv, [name]), run=tmp_path / "run")
    assert done.cleared and done.report["winner"] == name
    model = rung.load(done.bundle)
    assert model.selftest() == []
    assert model.predict(["The striker scored twice in the cup final"])[0].value == "sports"
    reasons = model.explain(["The striker scored twice in the cup final"])[0]
    assert reasons and all(reason.text in "The striker scored twice in the cup final" for reason in reasons)
    trial = next(t for t in done.report["trials"] if t["rung"] == name)
    assert trial["size_mb"] < 30 and trial["usd_per_1k"] > 0 and trial["wh_per_1k"] > 0
    kinds = {path.suffix for path in (done.bundle / "model").rglob("*") if path.is_file()}
    assert kinds <= {".json", ".safetensors", ".onnx"}


def test_a_chinese_product_gets_the_many_language_encoder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [(f"{a}，{b}", label) for label, texts in CHINESE.items() for a in texts for b in texts if a != b]
    data = write_csv(tmp_path / "reviews.csv", ["text", "label"], rows)
    done = rung.build(spec(data, ["frozen_encoder"]), run=tmp_path / "run")
    assert (
        done.report["winner"] == "frozen_encoder"
        and done.report["trials"][-1]["chosen"]["weights"] == "e5_small"
    )
    assert rung.load(done.bundle).predict(["酒店很干净，服务也好"])[0].value == "好评"


def test_no_text_is_embedded_twice(news_rows, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # Weights stay where they are; the embeddings of this test begin empty.
    monkeypatch.setattr("rung.workflows.build.cache_folder", lambda: tmp_path / "cache")
    # Once per machine, 8 bits are timed against float32 on texts of their own: done before texts are counted.
    encoder_precision.measure_int8("minilm")
    seen = []
    real = onnx_encoder.OnnxEncoder.encode

    def counting(self, texts, *args, **kwargs):
        seen.extend(texts)
        return real(self, texts, *args, **kwargs)

    monkeypatch.setattr(onnx_encoder.OnnxEncoder, "encode", counting)
    data = write_csv(tmp_path / "few.csv", ["text", "label"], news_rows[::6])
    rung.build(
        spec(data, ["frozen_encoder", "blend"], certify={"fraction": 0}), run=tmp_path / "one", all_rungs=True
    )
    assert len(seen) == len(set(seen)) > 50
    before = len(seen)
    rung.build(spec(data, ["blend"], certify={"fraction": 0}), run=tmp_path / "two")
    assert len(seen) == before, "a rebuild embeds nothing again"


def test_offline_says_what_to_fetch(news_csv, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUNG_CACHE", str(tmp_path / "empty"))
    with pytest.raises(SpecError) as caught:
        rung.build(spec(news_csv, ["frozen_encoder"]), run=tmp_path / "run")
    assert "rung weights fetch minilm" in str(caught.value)
    events = []
    product = spec(
        news_csv, None, bar={"metric": "accuracy", "at_least": 0.99}, budget={"effort": 0, "threads": 1}
    )
    rung.build(product, run=tmp_path / "all", on_event=lambda kind, facts: events.append((kind, facts)))
    skipped = {facts["rung"]: facts["why"] for kind, facts in events if kind == "skipped"}
    assert (
        "rung weights fetch minilm" in skipped["blend"]
        and "rung weights fetch wordllama" in skipped["static_embedding"]
    )


def test_weights_from_the_command_line(tmp_path):
    empty = {"RUNG_CACHE": str(tmp_path / "empty")}
    listed = json.loads(run_cli("weights", "list", "--json", env=empty).stdout)
    assert {"minilm", "e5_small", "wordllama", "bge_small"} <= {item["name"] for item in listed}
    assert all(item["licence"] and item["folder"] is None for item in listed)
    wrong = run_cli("weights", "fetch", "minilmm", env=empty)
    assert wrong.returncode == 2 and "minilm" in wrong.stderr
    assert run_cli("weights", "remove", "minilm", env=empty).returncode == 0
