"""A bundle mends what it is asked as its training rows were mended; one without `clean` in its manifest still loads."""

import json

import pyarrow.parquet as pq
import pytest

import rung
from rung.cleaning.pipeline import CleaningPipeline
from rung.core.errors import BundleError, InputError
from rung.core.manifest import seal
from rung.pages.report import render
from support import run_cli, write_csv, write_spec


@pytest.fixture(scope="module")
def masked(news_rows, tmp_path_factory):
    """A build whose rows hold tags, wide letters and phone numbers."""
    folder = tmp_path_factory.mktemp("masked")
    rows = [
        (f"<p>{text[:200]}</p> ask 1380013{8000 + i}", label) for i, (text, label) in enumerate(news_rows)
    ]
    data = write_csv(folder / "news.csv", ["text", "label"], rows)
    spec = write_spec(folder, data, extra="privacy: {mask: [phone, email], drop: [cn_id]}\n")
    return rung.build(spec, run=folder / "run")


def test_raw_and_mended_text_are_answered_alike(masked, news_rows):
    model = rung.load(masked.bundle)
    chain = CleaningPipeline.from_dict(model.manifest.clean)
    for text, _ in news_rows[::40]:
        raw = f"<div>{text}&amp;</div>\u200b　ＣＡＬＬ 139-0013-9000"
        clean = chain.apply({"text": raw}, ["text"]).values["text"]
        assert clean != raw and "<PHONE_1>" in clean
        one, two = model.predict([raw, clean])
        assert one.value == two.value and one.score == two.score
        assert model.explain([raw]) == model.explain([clean])


def test_nothing_of_the_run_holds_what_was_masked(masked):
    for table in (masked.folder / "data").glob("*.parquet"):
        texts = pq.read_table(table)["input:text"].to_pylist()
        assert texts and all("<PHONE_1>" in text and "13800138" not in text for text in texts)
    for path in masked.folder.rglob("*"):
        if path.is_file():
            assert b"13800138" not in path.read_bytes(), path


def test_what_is_dropped_is_refused_at_prediction(masked):
    model = rung.load(masked.bundle)
    text = "我的身份证号是11010519491231002X"
    with pytest.raises(InputError) as caught:
        model.predict([text])
    assert str(caught.value) == (
        "row 0: it holds personal data (cn_id), which this product refuses\nRemove it, and send the rest."
    )
    assert list(model.respond([text])) == [
        {"error": "it holds personal data (cn_id), which this product refuses"}
    ]
    done = run_cli("predict", masked.bundle, "--text", text)
    assert done.returncode == 2 and "refuses" in done.stderr and "11010519" not in done.stderr


def test_the_report_shows_what_was_mended(masked):
    report = masked.report
    assert [line["step"] for line in report["data"]["clean"]] == [
        "unicode",
        "width",
        "html",
        "whitespace",
        "drop",
        "mask",
    ]
    english, chinese = render(report, "en"), render(report, "zh")
    assert "Text cleaning" in english and "personal data masked: phone number 600" in english
    assert "文本清洗" in chinese and "个人信息脱敏：电话号码 600" in chinese
    # Every row holds a phone number, so no other step shows one as its example; masking shows it with dots.
    examples = {line["step"]: line["examples"] for line in report["data"]["clean"]}
    assert examples["html"] == [] and len(examples["mask"]) == 3
    assert "&lt;PHONE_1&gt;" in english and "13800138" not in english
    older = json.loads(json.dumps(report))
    del older["data"]["clean"]
    assert "Text cleaning" not in render(older, "en")


def rewritten(bundle, target, change):
    """A copy of a bundle whose manifest was changed and sealed again."""
    import shutil

    shutil.copytree(bundle, target)
    path = target / "manifest.json"
    raw = json.loads(path.read_text(encoding="utf-8"))
    change(raw)
    raw.pop("seal")
    path.write_text(json.dumps({**raw, "seal": seal(raw)}, ensure_ascii=False))
    return target


def test_a_bundle_from_before_the_key_loads_and_mends_nothing(built, tmp_path):
    old = rewritten(built.bundle, tmp_path / "old", lambda raw: raw.pop("clean"))
    model = rung.load(old)
    assert model.manifest.clean == {} and model.selftest() == []
    assert model.predict(["<b>The striker scored</b>"])[0].value == "sports"


def test_a_chain_that_this_rung_does_not_know_is_refused(built, tmp_path):
    def change(raw):
        raw["clean"]["steps"][0]["step"] = "rot13"

    with pytest.raises(BundleError, match="there is no step 'rot13'"):
        rung.load(rewritten(built.bundle, tmp_path / "new", change))
    with pytest.raises(BundleError, match="clean must be an object"):
        rung.load(rewritten(built.bundle, tmp_path / "list", lambda raw: raw.update(clean=[1])))
