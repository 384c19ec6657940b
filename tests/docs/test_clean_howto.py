"""What the pages on cleaning say is so: their specs parse, their tables are right, their commands and code run."""

import contextlib
import io
import json
import re
import shlex

import pytest

import rung
from rung.cleaning.pipeline import CleaningPipeline
from rung.cleaning.steps import DEFAULT_STEPS, make_step, step_modules
from rung.core.spec.cleaning import KINDS, PrivacySpec
from rung.core.spec.product import parse_product
from rung.models.tfidf_linear import TfidfLinear
from support import ROOT, run_cli, write_csv, write_spec

PAGES = [ROOT / "docs" / "howto" / name for name in ("clean-your-data.md", "clean-your-data.zh.md")]
SPEC = "task: text_classification\ndata: {path: x.csv}\nbar: {metric: accuracy, at_least: 0.9}\n"


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.S)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_specs_parse_and_both_pages_show_the_same(page):
    clean, privacy, ladder = blocks(page, "yaml")
    assert [clean, privacy, ladder] == blocks(PAGES[0], "yaml")
    product = parse_product(SPEC + clean + privacy + ladder)
    chain = CleaningPipeline.from_spec(product.clean, product.privacy)
    assert {step.name for step in chain.steps} == set(step_modules()) and len(chain.mask) == 6
    assert TfidfLinear.Params(**product.ladder[0].params).augment == "auto"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_tables_are_right(page):
    text = page.read_text(encoding="utf-8")
    for name, before, after in re.findall(r"^\| `(\w+)` \| .* \| `(.*)` → `(.*)` \|$", text, re.M):
        before = before.replace("\\u200b", "\u200b").replace("\\t", "\t")
        assert name in DEFAULT_STEPS and make_step(name, {}).apply(before).strip() == after
    for step, key, default in re.findall(r"^\| `(\w+)\.(\w+)`[^|]*\| `(\w+)` \|", text, re.M):
        shown = getattr(make_step(step, {}).params, key)
        assert (str(shown).lower() if isinstance(shown, bool) else shown) == default
    for kind in KINDS:
        assert f"| `{kind}` |" in text
    for name in step_modules():
        assert f"| `{name}` |" in text
    lone = CleaningPipeline.from_spec(None, PrivacySpec()).clean_text("a < b, and how to use <b>?")
    assert lone == "a < b, and how to use <b>?"


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """The product the pages build: tickets with phone numbers, and one without a label."""
    folder = tmp_path_factory.mktemp("desk")
    words = {"post": ["parcel late", "快递还没到"], "bill": ["wrong invoice", "账单有误"]}
    rows = [
        (f"{words[label][i % 2]} {i}, call me on 138001{i:05d}!", label) for i in range(60) for label in words
    ]
    data = write_csv(folder / "tickets.csv", ["text", "label"], [*rows, ("who reads this", "")])
    write_spec(folder, data.name, extra="privacy: {mask: all}\ncertify: {fraction: 0}\n")
    rung.build(folder / "product.yaml", run=folder / "runs" / "desk-001")
    return folder


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_commands_and_python_run(page, desk, monkeypatch):
    monkeypatch.chdir(desk)
    (desk / "unlabelled.csv").unlink(missing_ok=True)
    for line in blocks(page, "bash")[0].splitlines():
        done = run_cli(*shlex.split(line)[1:], cwd=desk)
        assert done.returncode == 0, done.stderr
    assert (desk / "unlabelled.csv").read_text() == "text,label\nwho reads this,\n"
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        exec(compile(blocks(page, "python")[0], page.name, "exec"), {})
    assert shown.getvalue() == blocks(page, "text")[0]
    manifest = json.loads((desk / "runs/desk-001/bundle/manifest.json").read_text())
    assert manifest["clean"]["mask"]
