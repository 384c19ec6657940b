"""`rung compress`: a run's winner becomes smaller, certified by a look of its own; or the run's bundle ships as before."""

import json
import re
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

import rung
from rung.building.compression import Wanted
from rung.cli import root
from rung.cli.build import command
from rung.core.errors import RungError
from rung.core.files import read_json
from rung.core.manifest import read_manifest
from rung.core.spec.compress import CompressSpec
from rung.workflows.compress import compress, wanted_of
from support import run_cli, write_csv, write_spec


@pytest.fixture(autouse=True)
def few_candidates(monkeypatch):
    monkeypatch.setattr("rung.training.compression.offers._SHARES", (0.25, 0.05))
    # Times on busy cores decide nothing here.
    monkeypatch.setattr("rung.building.compression._WORSE", 100.0)


def called(*words):
    """Return what the command did, in this process: so it tries few candidates too."""
    return CliRunner().invoke(root, [str(word) for word in words])


@pytest.fixture(scope="module")
def run(news_rows, tmp_path_factory):
    """A certified run of a linear model of news; each test that compresses it spends a look."""
    folder = tmp_path_factory.mktemp("compress")
    data = write_csv(folder / "news.csv", ["text", "label"], news_rows)
    done = rung.build(
        write_spec(folder, data, bar=0.6, extra="repeats: 0\n"), run=folder / "runs" / "desk-001"
    )
    assert done.cleared and done.report["winner"] == "tfidf_linear"
    return done.folder


def test_an_impossible_target_is_refused_with_the_smallest_reached(run):
    before = (run / "bundle" / "manifest.json").read_bytes()
    looks = len(read_json(run.parent.parent / "certificate.lock")["looks"])
    found = compress(run, Wanted(size_mb=0.001, loss=0.02))
    assert not found.ok and found.report["verdict"] == "refused" and found.bundle == run / "bundle"
    small = found.report["smallest"]
    assert small and not (found.folder / "bundle").exists()
    # Nothing was looked at, and the run is as it was.
    assert len(read_json(run.parent.parent / "certificate.lock")["looks"]) == looks
    assert (run / "bundle" / "manifest.json").read_bytes() == before
    done = called("compress", run, "--to", "1kB", "--max-loss", "0.02", "--lang", "en")
    assert done.exit_code == 3 and "ships as before" in done.stdout and small in done.stdout


def test_a_smaller_bundle_is_certified_anew_and_answers_alike(run):
    found = compress(run, Wanted(loss=0.02))
    assert found.ok and found.bundle == run / "compressed" / "bundle"
    report = found.report
    chosen = next(one for one in report["candidates"] if one["name"] == report["chosen"])
    assert chosen["size_mb"] < report["before"]["size_mb"] / 5 and chosen["lost"] <= 0.02
    assert report["certificate"]["looks"] > 1
    manifest = read_manifest(found.bundle)
    assert manifest.certified and manifest.version == chosen["version"]
    assert manifest.data["compressed_from"] == read_manifest(run / "bundle").version
    assert manifest.format == (2 if chosen["name"].endswith("int8") else 1)
    model = rung.load(found.bundle)
    assert model.selftest() == []
    text = "The striker scored twice in the cup final"
    assert model.predict([text])[0].value == rung.load(run / "bundle").predict([text])[0].value == "sports"
    for lang in ("en", "zh"):
        shown = called("compress", run, "--max-loss", "0.02", "--lang", lang)
        assert shown.exit_code == 0 and chosen["name"] in shown.stdout
    page = (found.folder / "compress.html").read_text(encoding="utf-8")
    assert "<svg" in page and 'lang="zh-CN"' in page
    as_json = json.loads(called("compress", run, "--max-loss", "0.02", "--json").stdout)
    # The same bundle gets its certificate again without a look.
    assert as_json["certificate"] == report["certificate"]


def test_a_look_that_fails_leaves_the_bundle_of_the_run(run, monkeypatch):
    monkeypatch.setattr("rung.workflows.compress.take_look", lambda *given: ("failed certification", None))
    found = compress(run, Wanted(loss=0.02))
    assert not found.ok and found.report["verdict"] == "rejected" and found.bundle == run / "bundle"
    assert not (found.folder / "bundle").exists()


def test_a_candidate_that_fails_does_not_take_the_others_down(run, monkeypatch):
    def broken(source, folder):
        raise RungError("the quantizer does not know the operator 'Mystery'", fix="Leave it in float.")

    from rung.training.compression import offers
    from rung.training.compression.recipe import Recipe

    real = offers.recipes_for
    monkeypatch.setattr(
        "rung.workflows.compress.recipes_for", lambda *given: [Recipe("bad", "int8", broken), *real(*given)]
    )
    found = compress(run, Wanted(loss=0.02))
    bad = found.report["candidates"][0]
    assert found.ok and bad["status"] == "failed" and "Mystery" in bad["problem"]


def test_what_is_no_run_is_refused_in_words(tmp_path, run):
    with pytest.raises(RungError, match="no run in it"):
        compress(tmp_path)
    old = tmp_path / "old"
    old.mkdir()
    (old / "run.json").write_text('{"product": "desk", "fingerprint": "1"}')
    with pytest.raises(RungError, match="format 1"):
        compress(old)
    for bad, place in (({"size_mb": -1}, "--to"), ({"loss": 2}, "--max-loss")):
        with pytest.raises(RungError) as raised:
            compress(run, Wanted(**bad))
        assert raised.value.where == place
    assert run_cli("compress", run, "--to", "huge").returncode == 2


def test_a_table_becomes_one_model(tmp_path):
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer()
    names = [name.replace(" ", "_") for name in data.feature_names[:8]]
    rows = [
        [*map(float, row[:8]), ("malignant", "benign")[label]]
        for row, label in zip(data.data, data.target, strict=True)
    ]
    write_csv(tmp_path / "cells.csv", [*names, "label"], rows)
    spec = tmp_path / "product.yaml"
    spec.write_text(
        "name: cells\ntask: tabular_classification\ndata: {path: cells.csv, target: label}\n"
        "bar: {metric: accuracy, at_least: 0.8}\nbudget: {effort: 0, threads: 1}\nladder: [{model: boosted_trees, params: {bags: 3}}]\n"
    )
    built = rung.build(spec, run=tmp_path / "runs" / "cells-001")
    assert built.report["winner"] == "boosted_trees" and built.cleared
    found = compress(built.folder, Wanted(loss=0.03))
    report = found.report
    measured = {one["name"]: one for one in report["candidates"] if one["status"] == "measured"}
    assert {"one-bag", "few-trees"} <= set(measured)
    assert measured["few-trees"]["size_mb"] < report["before"]["size_mb"]
    if found.ok:
        assert rung.load(found.bundle).selftest() == []
        assert report["certificate"]["looks"] == 2


@pytest.mark.slow
@pytest.mark.usefixtures("minilm")
def test_an_encoder_loses_tokens_and_layers(news_rows, tmp_path):
    data = write_csv(
        tmp_path / "news.csv", ["text", "label"], [(text[:120], label) for text, label in news_rows]
    )
    text = write_spec(tmp_path, data, bar=0.5, extra="repeats: 0\n").read_text()
    spec = tmp_path / "product.yaml"
    spec.write_text(text.replace("[majority, tfidf_linear]", "[frozen_encoder]"))
    built = rung.build(spec, run=tmp_path / "runs" / "desk-001")
    found = compress(built.folder, Wanted(loss=0.05))
    measured = {one["name"]: one for one in found.report["candidates"] if one["status"] == "measured"}
    assert measured["tokens"]["size_mb"] < 0.8 * found.report["before"]["size_mb"]
    assert measured["layers-4"]["cpu_seconds_per_1k"] < found.report["before"]["cpu_seconds_per_1k"]
    assert "file:" not in (built.folder / "compress" / "bundles" / "layers-4" / "manifest.json").read_text()
    assert found.ok and found.report["certificate"]


@pytest.mark.parametrize("page", ["compress.md", "compress.zh.md"])
def test_the_section_that_the_page_shows_asks_for_what_its_command_asks_for(page):
    text = (Path(__file__).parents[2] / "docs" / "howto" / page).read_text(encoding="utf-8")
    (section,) = re.findall(r"```yaml\n(.*?)```", text, re.S)
    asked = wanted_of(CompressSpec.model_validate(yaml.safe_load(section)["compress"]))
    assert asked == Wanted(2.0, 0.005) and "--to 2MB --max-loss 0.005" in text


def test_a_section_of_the_product_makes_a_build_smaller_at_its_end(news_rows, tmp_path, monkeypatch):
    monkeypatch.setattr("rung.training.compression.offers._SHARES", (0.05,))
    data = write_csv(tmp_path / "news.csv", ["text", "label"], news_rows)
    spec = write_spec(tmp_path, data, bar=0.6, extra="repeats: 0\ncompress: {max_loss: 0.02}\n")
    done = CliRunner().invoke(
        command, [str(spec), "--run", str(tmp_path / "run"), "--json"], obj={"lang": "en"}
    )
    assert done.exit_code == 0, done.output
    smaller = json.loads(done.stdout)["compressed"]
    assert smaller["verdict"] == "compressed" and smaller["wanted"]["max_loss"] == 0.02
    assert read_manifest(tmp_path / "run" / "compressed" / "bundle").certified
    # Another section is no other product, and what was made stands.
    text = spec.read_text()
    spec.write_text(text.replace("max_loss: 0.02", "max_loss: 0.02, to: 1kB"))
    found = compress(tmp_path / "run", product=spec)
    assert found.report["verdict"] == "refused" and found.report["wanted"]["size_mb"] == 0.001
    spec.write_text(text.replace("max_loss: 0.02", "to: huge"))
    with pytest.raises(RungError, match="'huge' is no size; write 10MB"):
        rung.build(spec)
