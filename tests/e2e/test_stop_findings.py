"""A finding of level stop keeps a build from being certified until it is mended, or accepted by name."""

import json
import random

import pytest

import rung
from rung.core.certificate_lock import CertificateLock
from rung.core.errors import RunError, RungError
from rung.workflows.check import check
from support import run_cli, write_csv

SPEC = """name: shop
task: tabular_classification
data: {{path: rows.csv, input: [amount, case_id, ticket], target: outcome}}
bar: {{metric: accuracy, at_least: 0.7}}
budget: {{effort: 0, threads: 1}}
ladder: [majority, linear_table]
{}"""


@pytest.fixture(scope="module")
def rows():
    """600 rows in which two columns of codes tell the outcome."""
    draw = random.Random(0)
    found = []
    for _ in range(600):
        label = draw.choice(["kept", "returned"])
        mark = {"kept": "KA", "returned": "RB"}[label]
        found.append(
            (
                round(draw.gauss(50, 9), 2),
                f"{mark}-{draw.randrange(20):02d}",
                f"{mark}/{draw.randrange(30):02d}",
                label,
            )
        )
    return found


@pytest.fixture
def product(rows, tmp_path):
    """Return a function that writes the product with these lines at its end."""
    write_csv(tmp_path / "rows.csv", ["amount", "case_id", "ticket", "outcome"], rows)

    def write(extra=""):
        path = tmp_path / "product.yaml"
        path.write_text(SPEC.format(extra), encoding="utf-8")
        return path

    return write


def looks(path):
    return CertificateLock(path.with_name("certificate.lock")).looks()


def test_a_leak_stops_and_an_accepted_one_does_not(product):
    path = product()
    stopped = run_cli("build", path, "--run", path.with_name("run1"))
    assert stopped.returncode == 3, stopped.stderr
    assert "Cleared" not in stopped.stdout and "leak_column:case_id" in stopped.stdout
    assert "accept: [leak_column:case_id]" in " ".join(stopped.stdout.split())
    report = json.loads((path.parent / "run1" / "report.json").read_text())
    assert not report["cleared"] and report["certificate"] is None
    assert report["winner"] == "linear_table" and report["trials"][-1]["status"] == "stopped by a finding"
    assert looks(path) == [], "no look is spent"
    assert not rung.load(path.parent / "run1" / "bundle").manifest.certified
    assert "leak_column:case_id" in (path.parent / "run1" / "report.html").read_text()
    again = run_cli("show", path.parent / "run1")
    assert again.returncode == 0 and "leak_column:case_id" in again.stdout and "Cleared" not in again.stdout
    one = run_cli("build", product("accept: [leak_column:case_id]\n"), "--run", path.with_name("run2"))
    assert one.returncode == 3 and "leak_column:ticket" in one.stdout, "the next column is judged as well"
    both = product("accept: [leak_column:case_id, leak_column:ticket]\n")
    done = run_cli("build", both, "--run", path.with_name("run3"))
    assert done.returncode == 0 and "Cleared" in done.stdout, done.stdout + done.stderr
    assert len(looks(path)) == 1
    report = json.loads((path.parent / "run3" / "report.json").read_text())
    accepted = [(f["key"], f["level"]) for f in report["findings"] if f["accepted"]]
    assert accepted == [("leak_column:case_id", "warn"), ("leak_column:ticket", "warn")]
    assert "accepted" in run_cli("data", "check", both).stdout


def test_other_findings_stop_too(tmp_path):
    draw = random.Random(1)
    rows = []
    for n in range(400):
        label = draw.choice(["sea", "land"])
        words = {"sea": "ships waves harbour anchor", "land": "trees hills meadow barn"}[label].split()
        rows.append(
            (f"{draw.choice(words)} {draw.choice(words)} number {n}", label.upper() if n % 9 == 0 else label)
        )
    write_csv(tmp_path / "rows.csv", ["text", "label"], rows)
    text = "name: s\ntask: text_classification\ndata: {path: rows.csv, input: text, target: label}\nbar: {metric: accuracy, at_least: 0.3}\nbudget: {effort: 0, threads: 1}\nladder: [tfidf_linear]\n"
    (tmp_path / "product.yaml").write_text(text)
    done = rung.build(tmp_path / "product.yaml")
    assert not done.cleared and done.report["trials"][-1]["status"] == "stopped by a finding"
    (tmp_path / "product.yaml").write_text(text + "accept: [label_spelling]\n")
    assert rung.build(tmp_path / "product.yaml").cleared
    (tmp_path / "product.yaml").write_text(text + "certify: {fraction: 0}\n")
    assert run_cli("build", tmp_path / "product.yaml").returncode == 3, "nor without a certificate"


@pytest.mark.parametrize(
    "entry, words",
    [("leak_colum:case_id", "Did you mean 'leak_column'"), ("leak_column:case", "uses no column 'case'"), ("everything", "no check")],
)  # fmt: skip
def test_what_cannot_be_accepted_is_said(product, entry, words):
    path = product(f"accept: ['{entry}']\n")
    for call in (rung.build, check):
        with pytest.raises(RungError, match="accept") as error:
            call(path)
        assert words in str(error.value)


def test_a_number_of_the_lock_changed_by_hand_is_noticed(product):
    path = product("accept: [leak_column:case_id, leak_column:ticket]\n")
    assert rung.build(path).cleared
    lock = path.with_name("certificate.lock")
    content = json.loads(lock.read_text())
    assert content["looks"][0]["published"]
    for change in ({"published": [0.999]}, {"alpha": 0.0001}, {"outcome": "failed", "transcripts": 1}):
        lock.write_text(json.dumps({**content, "looks": [{**content["looks"][0], **change}]}))
        with pytest.raises(RunError, match="its seal differs"):
            rung.build(path)
    lock.write_text(
        json.dumps({**content, "looks": [{k: v for k, v in content["looks"][0].items() if k != "seal"}]})
    )
    assert len(looks(path)) == 1, "a lock of version 0.1 has no seals"


def test_an_empty_list_changes_no_fingerprint(product):
    from rung.core.spec.product import load_product

    plain = load_product(product())[0].fingerprint()
    assert load_product(product("accept: []\n"))[0].fingerprint() == plain
    assert load_product(product("accept: [label_spelling]\n"))[0].fingerprint() != plain


def test_a_finding_of_no_input_is_accepted_once(tmp_path):
    rows = [
        (f"{('ships', 'trees', 'gold')[n % 3]} {n} {n * 7 % 11}", "" if n % 4 else f"g{n}", ("a", "b")[n % 2])
        for n in range(300)
    ]
    write_csv(tmp_path / "rows.csv", ["text", "customer", "label"], rows)
    path = tmp_path / "product.yaml"
    path.write_text(
        "name: s\ntask: text_classification\ndata: {path: rows.csv, input: text, target: label, group: customer}\n"
        "bar: {metric: accuracy, at_least: 0.3}\nbudget: {effort: 0, threads: 1}\nladder: [tfidf_linear]\naccept: [empty_groups]\n"
    )
    found = [finding for finding in check(path).findings if finding.check == "empty_groups"]
    assert [(finding.level, finding.accepted) for finding in found] == [("warn", True)]
