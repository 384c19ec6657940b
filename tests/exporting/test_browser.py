"""The JavaScript of a browser export reads text, tokens and cells bit by bit as Python does, and answers as the server."""

import json
import random
import shutil
import subprocess
from types import SimpleNamespace

import numpy as np
import pytest

from exported_tables import examples_of, nasty, source_of
from rung.cleaning.pipeline import CleaningPipeline
from rung.cleaning.steps import resolve_steps
from rung.core import registry
from rung.core.manifest import Manifest
from rung.core.scalars import scalar_text
from rung.core.types import Examples
from rung.exporting import browser, browser_checks
from rung.exporting.source import Source, answered_rows
from rung.exporting.target import ExportRefused
from rung.modalities.tables.features import digest
from rung.modalities.text.ngrams import NgramSpec, normalize_text, occurrences
from rung.serving.predictor import Predictor
from rung.training.compression.fewer_bits import to_int8
from rung.workflows.export import export
from support import run_cli

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="no Node.js")
needs_chromium = pytest.mark.skipif(browser_checks.chromium() is None, reason="no Chromium")


@pytest.fixture(scope="module")
def in_node(tmp_path_factory):
    """Call a function of the exported code's parts on each of many values."""
    folder = tmp_path_factory.mktemp("node")
    (folder / "predict.js").write_text(browser.code(), encoding="utf-8")

    def call(expression, values, setup=""):
        (folder / "in.json").write_text(json.dumps(values), encoding="utf-8")
        (folder / "run.mjs").write_text(
            'import "./predict.js"; import { readFileSync, writeFileSync } from "node:fs";\n'
            f"const p = globalThis.rung.parts; const read = (name) => JSON.parse(readFileSync(name, 'utf8'));\n{setup}\n"
            f'writeFileSync("out.json", JSON.stringify(read("in.json").map((x) => {expression})));\n',
            encoding="utf-8",
        )
        subprocess.run(
            [shutil.which("node"), "run.mjs"], cwd=folder, check=True, capture_output=True, text=True
        )
        return json.loads((folder / "out.json").read_text(encoding="utf-8"))

    call.folder = folder
    return call


def strings(count, seed=0):
    """Strings of letters, marks, blanks, markup, emoji and characters from all over Unicode."""
    rng = random.Random(seed)
    pieces = ["Σ", "ΑΣ", "ς ", "İ", "ß", "ﬁ", "Ａ１", "，", "：", "\u00a0", "\u3000", "\u200b", "\u200d", "\ufeff", "\u0301", "e\u0301", "각", "ᄀ", "ᅡ",
              "<b>", "</b>", "<br/>", "<!-- x -->", "<script>1</script>", "&amp;", "&amp;lt;", "&#8364;", "&#x1F600;", "&#128;", "&notit;", "&copy;",
              "&#0;", "\r\n", "\r", "\n\n\n\n", "\t", "\x1c", "\x85", "\u2028", "a < b", "List<String>", "😀", "👨‍👩‍👧", "中文", "ไทย", "の", "_", "x\u2060y", "\ud800",
              "word", "Word", "12", "3.0", " ", "  ", "...", "é", "Ⅷ", "㎏", "½", "ǆ", "ẞ"]  # fmt: skip
    out = []
    for _ in range(count):
        parts = [
            rng.choice(pieces)
            if rng.random() < 0.8
            else chr(rng.choice([rng.randrange(0x3000), rng.randrange(0x110000)]))
            for _ in range(rng.randrange(1, 24))
        ]
        out.append("".join(parts))
    return out


@needs_node
def test_all_of_unicode_is_folded_as_python_folds_it(in_node):
    """Every code point between two letters; surrogates too, which JSON can hold."""
    texts = [f"a{chr(code)}B" for code in range(0x110000)]
    expected = [normalize_text(text) for text in texts]
    found = in_node("p.normalizeText(x)", texts)
    wrong = [hex(code) for code in range(0x110000) if found[code] != expected[code]]
    assert not wrong, wrong[:20]


@needs_node
def test_text_is_cleaned_and_folded_as_by_the_server(in_node):
    texts = strings(20_000)
    chain = CleaningPipeline(resolve_steps(None))
    steps = chain.as_dict()["steps"]
    cleaned = in_node(f"p.cleanText(x, {json.dumps(steps)})", texts)
    wrong = [
        (a, b, chain.clean_text(a)) for a, b in zip(texts, cleaned, strict=True) if chain.clean_text(a) != b
    ]
    assert not wrong, wrong[:3]
    folded = in_node("p.normalizeText(x)", texts)
    wrong = [(a, b) for a, b in zip(texts, folded, strict=True) if normalize_text(a) != b]
    assert not wrong, wrong[:3]


@needs_node
def test_ngrams_fall_into_the_same_buckets(in_node):
    texts = [normalize_text(text) for text in strings(400, seed=1)] + ["", "a", "x" * 3_000]
    for spec in (NgramSpec(3, 0, 0), NgramSpec(0, 2, 5), NgramSpec(0, 1, 3)):
        block = json.dumps(
            {"word_max": spec.word_max, "char_min": spec.char_min, "char_max": spec.char_max, "weight": 1}
        )
        # A vocabulary that holds half of all buckets: what is found shows which buckets a text has.
        known = "Int32Array.from({length: 1 << 23}, (_, i) => 2 * i)"
        found = in_node(
            "(() => { const t = b.apply(p.codesOf(x)); return [Array.from(t.columns), t.seen]; })()", texts,
            setup=f"const known = {known}; const b = new p.Block({block}, known, new Float32Array(known.length).fill(1));",
        )  # fmt: skip
        for text, (columns, seen) in zip(texts, found, strict=True):
            buckets = occurrences([text], spec).buckets
            assert seen == len(buckets), text
            assert columns == sorted({int(b) // 2 for b in buckets if b % 2 == 0}), text


@needs_node
def test_digests_and_the_text_of_scalars(in_node):
    words = [*strings(60, seed=2), "x" * 500]
    valid = [word for word in words if word.encode("utf-8", "replace").decode() == word]
    assert in_node('p.digest("列", x).toString()', valid) == [str(digest("列", word)) for word in valid]
    numbers = [
        0.1,
        1e-5,
        1.5e-7,
        123456.789,
        1e16,
        1.5e16,
        1e21,
        1.5e300,
        -2.5,
        3.0,
        1e15,
        0.0001,
        12345678901234567.0,
        True,
    ]
    texts = ["TRUE", "3.0", "-4.00", "2024-01-01T00:00:00", "2.125e0", "1.5", "Ａ　Ｂ", "", "٣.0"]
    values = [*numbers, *texts]
    assert in_node("p.scalarText(x)", values) == [scalar_text(value) for value in values]


@needs_node
def test_tokens_are_those_of_the_library(in_node, wordllama):
    from tokenizers import Tokenizer

    settings = json.loads((wordllama / "tokenizer.json").read_text(encoding="utf-8"))
    library = Tokenizer.from_str(json.dumps({**settings, "padding": None, "truncation": None}))
    shutil.copyfile(wordllama / "tokenizer.json", in_node.folder / "tokenizer.json")
    words = [
        text
        for text in strings(4_000, seed=3)
        if "\ud800" not in text and text.encode("utf-8", "replace").decode() == text
    ]
    words += ["unbelievable" * 20, "<s>", "a<s>b", "</s><unk>", "  two", "反" * 300]
    found = in_node("t.encode(x)", words, setup='const t = new p.Tokenizer(read("tokenizer.json"));')
    assert found == [library.encode(word, add_special_tokens=False).ids for word in words]


@needs_node
@pytest.mark.parametrize("family", ["linear_table", "stack", "explainable_boosting"])
@pytest.mark.parametrize("labels", [0, 2, 3])
def test_tables_with_nasty_cells(family, labels, tmp_path, monkeypatch):
    pytest.importorskip("interpret" if family == "explainable_boosting" else "lightgbm")
    monkeypatch.setattr(browser_checks, "chromium", lambda: None)
    inputs, score = nasty(300)
    inputs["note"] = [
        f"{'late' if s > 0 else 'fine'} delivery of parcel {i} to the old house" for i, s in enumerate(score)
    ]
    targets = score.tolist()
    if labels:
        targets = [
            f"label {k}"
            for k in np.searchsorted(np.quantile(score, np.linspace(0, 1, labels + 1)[1:-1]), score)
        ]
    examples = examples_of("tabular_classification" if labels else "tabular_regression", inputs, targets)
    (tmp_path / "model").mkdir()
    source = source_of(family, examples, tmp_path / "model")
    strange = [
        {**row, "colour?": "身份-9999", "colour": "strange", "2day": "0099-02-03"}
        for row in examples.take(range(20)).records()
    ]
    rows = answered_rows(source, [*examples.records(), *strange], "file", "rows")
    found = exported_check(source, tmp_path, rows)
    assert found.agreement.equal == len(rows), found.agreement.differing
    assert found.agreement.largest_difference < 1e-6


@needs_node
def test_static_vectors_answer_as_the_server_does(wordllama, news_rows, tmp_path, monkeypatch):
    monkeypatch.setattr(browser_checks, "chromium", lambda: None)
    task = registry.task("text_classification")
    texts, labels = zip(*news_rows[::2], strict=True)
    n = len(texts)
    ids = [f"{i:016x}" for i in range(n)]
    schema = task.schema(["text"], labels)
    examples = Examples(schema, {"text": list(texts)}, list(labels), ids, list(range(n)), [0.0] * n)
    (tmp_path / "model").mkdir()
    source = source_of("static_embedding", examples, tmp_path / "model", effort=0, task=task.name)
    asked = [*texts, *(text for text in strings(300, seed=4) if text.strip()), "a <s> b", "反" * 200]
    rows = answered_rows(source, [{"text": text} for text in asked], "file", "rows")
    found = exported_check(source, tmp_path, rows)
    assert found.agreement.equal == len(rows), found.agreement.differing
    assert found.agreement.largest_difference < 1e-4


@needs_node
def test_weights_in_8_bits_answer_as_the_server_does(built, tmp_path, monkeypatch):
    monkeypatch.setattr(browser_checks, "chromium", lambda: None)
    whole = Source.open(built.bundle)
    family = registry.model(whole.manifest.model)
    (tmp_path / "model").mkdir()
    to_int8(SimpleNamespace(folder=built.bundle / "model", family="tfidf_linear"), tmp_path / "model")
    model = family.load(tmp_path / "model", whole.manifest.schema)
    predictor = Predictor(whole.manifest, whole.predictor.task, model, tmp_path)
    source = Source(tmp_path, predictor)
    asked = [
        "The striker scored twice",
        "shares fell",
        *(text for text in strings(200, seed=7) if text.strip()),
    ]
    found = exported_check(
        source, tmp_path, answered_rows(source, [{"text": text} for text in asked], "file", "rows")
    )
    assert found.agreement.equal == found.agreement.rows > 150 and found.agreement.largest_difference < 1e-6


def exported_check(source, tmp_path, rows):
    """Write a bundle whose model lies in `model`, and return the check in Node.js."""
    (tmp_path / "out").mkdir()
    whole = Source(tmp_path, source.predictor)
    browser.write(whole, tmp_path / "out")
    return browser.check(whole, tmp_path / "out", rows)[0]


@needs_node
@needs_chromium
def test_news_is_answered_in_node_and_as_a_page_from_the_disk(built, tmp_path):
    done = export(built.folder, "browser", out=tmp_path / "out")
    assert [check["where"] for check in done.report["checks"]] == ["Node.js", "Chromium"]
    for check in done.report["checks"]:
        assert check["equal"] == check["rows"] > 300 and check["largest_difference"] < 1e-12
    assert (done.folder / "predict.js").stat().st_size < 1_000_000
    page = (done.folder / "index.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in page and "style=" not in page and "<script>" not in page
    code = (done.folder / "predict.js").read_text(encoding="utf-8")
    for way_out in ("fetch(", "XMLHttpRequest", "WebSocket", "WebAssembly", "eval(", "Function("):
        assert way_out not in code


@needs_node
def test_a_row_that_cannot_be_read_is_refused_by_itself(built, tmp_path, monkeypatch):
    monkeypatch.setattr(browser_checks, "chromium", lambda: None)
    done = export(built.folder, "browser", out=tmp_path / "out")
    code = (
        'import { predict, info } from "./index.mjs";\n'
        'console.log(JSON.stringify(predict(["the striker scored", {text: ""}, {txt: "a"}, {text: {}}, {text: null}])), info.name);\n'
    )
    (done.folder / "try.mjs").write_text(code, encoding="utf-8")
    said = subprocess.run(
        [shutil.which("node"), "try.mjs"], cwd=done.folder, capture_output=True, text=True, check=True
    ).stdout
    answers = json.loads(said[: said.rindex("]") + 1])
    assert answers[0]["label"] in answers[0]["scores"] and "error" not in answers[0]
    assert [list(one) for one in answers[1:]] == [["error"]] * 4
    assert "'text' is missing" in answers[2]["error"]


def test_what_javascript_does_not_have_is_refused_before_anything_is_written(built, tmp_path):
    source = Source.open(built.bundle)
    manifest = Manifest(**{**vars(source.manifest), "clean": {"steps": [], "mask": ["email"], "drop": []}})
    source.predictor.manifest = manifest
    with pytest.raises(ExportRefused, match="masking of personal data"):
        browser.write(source, tmp_path)
    source.predictor.manifest = Manifest(**{**vars(manifest), "model": "majority", "clean": {}})
    with pytest.raises(ExportRefused, match="'majority' is not among the models"):
        browser.write(source, tmp_path)
    assert not list(tmp_path.iterdir())
    assert run_cli("export", built.folder, "--to", "toaster").returncode == 2


def test_neither_engine_is_said(built, tmp_path, monkeypatch):
    monkeypatch.setattr(browser_checks.shutil, "which", lambda name: None)
    done = export(built.folder, "browser", out=tmp_path / "out", lang="zh")
    assert done.ok and not done.report["checks"]
    assert "本机没有运行该导出件的环境" in (done.folder / "export.md").read_text(encoding="utf-8")
