"""What version 0.1 left is read: its bundle, its run folder, its journal and its certificate.lock.

`version-0.1.zip` holds a product as 0.1 built it (`rung build`, 260 short texts of two labels, effort 0) and served it with
`inputs: plain` (25 answers, one feedback). Made once, by that version; nothing here writes it again.
"""

import json
import zipfile
from pathlib import Path

import pytest

import rung
from support import run_cli


@pytest.fixture
def product(tmp_path):
    with zipfile.ZipFile(Path(__file__).with_name("version-0.1.zip")) as archive:
        archive.extractall(tmp_path)
    return tmp_path


def test_its_bundle_answers_as_it_did(product):
    bundle = product / "runs" / "desk-001" / "bundle"
    assert run_cli("verify", bundle).returncode == 0
    model = rung.load(bundle)
    assert model.manifest.rung_version == "0.1.0" and model.manifest.certified
    assert model.selftest() == []
    cases = [
        json.loads(line) for line in (bundle / "selftest.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    for case, answer in zip(cases, model.respond([c["inputs"] for c in cases], scores=True), strict=True):
        assert answer["label"] == case["answer"]["label"]


def test_its_run_is_shown(product):
    shown = run_cli("show", product / "runs" / "desk-001", "--lang", "en")
    assert shown.returncode == 0 and "tfidf_linear" in shown.stdout and "Cleared" in shown.stdout


def test_its_journal_is_read(product):
    worth = run_cli("value", product / "product.yaml", "--json")
    assert worth.returncode == 0, worth.stderr
    assert json.loads(worth.stdout)["rows"] == 25
    drift = run_cli("drift", product / "product.yaml", "--json")
    # 3: what was served is not what it was built for, which is true of these answers.
    assert drift.returncode == 3 and json.loads(drift.stdout)["period"]["rows"] == 25, drift.stderr


def test_its_looks_and_sides_are_remembered(product):
    before = json.loads((product / "certificate.lock").read_text(encoding="utf-8"))
    # Version 0.1 only warned of it.
    with (product / "product.yaml").open("a", encoding="utf-8") as spec:
        spec.write("\naccept: [leak_word]\n")
    done = rung.build(product / "product.yaml")
    assert done.cleared and done.report["data"]["certification"] == 76
    after = json.loads((product / "certificate.lock").read_text(encoding="utf-8"))
    assert after["splits"] == before["splits"] and after["looks"][0] == before["looks"][0]
    # A build by other code is another bundle: its look is one more at the same rows, and pays for the first.
    assert done.report["certificate"]["looks"] == len(after["looks"]) == 2


def test_its_spec_is_read_with_a_notice(product):
    said = run_cli("build", product / "product.yaml", "--run", product / "again", "--lang", "en")
    assert "serve.max_batch_size" in said.stderr


def test_its_run_is_not_resumed(product):
    old = product / "runs" / "desk-001"
    with pytest.raises(rung.RungError) as caught:
        rung.build(product / "product.yaml", run=old)
    assert "format 1 and cannot be resumed" in caught.value.problem and "desk-001" in caught.value.where
    assert "Leave out --run" in caught.value.fix


def test_a_new_run_is_begun_beside_an_unfinished_one_of_its_own(product):
    from rung.core.run import choose_folder

    old = product / "runs" / "desk-001"
    (old / "report.json").unlink()
    fingerprint = json.loads((old / "run.json").read_text(encoding="utf-8"))["fingerprint"]
    assert choose_folder(product / "runs", "desk", fingerprint).name == "desk-002"
