"""Rows of groups over time, from the file to the certificate: a table of devices, and texts of customers."""

import csv
import json

import numpy as np
import pytest

import rung
from rung.core.certificate_lock import CertificateLock
from rung.pages.report import certificate_claim

DEVICES = """name: devices
task: tabular_classification
data: {path: devices.csv, target: fails, group: device, time: day}
bar: {metric: accuracy, at_least: 0.75}
budget: {effort: 0, threads: 1}
ladder: [linear_table]
"""
TICKETS = """name: tickets
task: text_classification
data: {path: tickets.csv, input: text, target: queue, group: customer, time: day}
bar: {metric: accuracy, at_least: 0.75}
budget: {effort: 0, threads: 1}
ladder: [tfidf_linear]
"""
WORDS = {
    "billing": ["invoice", "refund", "charge", "payment", "receipt", "price"],
    "delivery": ["parcel", "courier", "address", "late", "tracking", "box"],
    "account": ["password", "login", "email", "profile", "username", "locked"],
}


def day(i):
    return f"2024-{1 + i // 28:02}-{1 + i % 28:02}"


def write(folder, name, header, rows, spec):
    with (folder / name).open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    (folder / "product.yaml").write_text(spec)
    return folder / "product.yaml"


@pytest.fixture(scope="module")
def devices(tmp_path_factory):
    """40 devices, a reading a day for 30 days: 1,200 rows; each device has its own offset and drifts slowly."""
    folder, rng = tmp_path_factory.mktemp("devices"), np.random.default_rng(0)
    rows = []
    for device in range(40):
        offset, drift = rng.normal(0, 0.2), rng.normal(0, 0.01)
        for t in range(30):
            heat, load = rng.normal(size=2)
            score = heat + 0.5 * load + offset + drift * t
            rows.append(
                [f"{heat:.3f}", f"{load:.3f}", f"device {device}", day(t), "yes" if score > 0 else "no"]
            )
    spec = write(folder, "devices.csv", ["heat", "load", "device", "day", "fails"], rows, DEVICES)
    return rung.build(spec, run=folder / "run")


@pytest.fixture(scope="module")
def tickets(tmp_path_factory):
    """60 customers write 20 tickets each."""
    folder, rng = tmp_path_factory.mktemp("tickets"), np.random.default_rng(1)
    rows = []
    for customer in range(60):
        for t in range(20):
            queue = list(WORDS)[rng.integers(0, 3)]
            said = [
                *rng.choice(WORDS[queue], 3),
                *(f"{w}{rng.integers(0, 500)}" for w in ("ref", "id", "no", "at")),
            ]
            rows.append([" ".join(said), f"customer {customer}", day(t), queue])
    spec = write(folder, "tickets.csv", ["text", "customer", "day", "queue"], rows, TICKETS)
    return rung.build(spec, run=folder / "run")


def test_devices_certify_on_their_last_stretch(devices):
    report = devices.report
    assert devices.cleared, report["advice"]
    assert report["data"]["train"] == 840 and report["data"]["certification"] == 360
    groups = report["data"]["groups"]
    assert (groups["certify"], groups["new"]) == (40, 0)
    certificate = report["certificate"]
    assert (certificate["units"], certificate["of"], certificate["sampling"]) == (40, "groups", "fixed")
    assert certificate["exact"] and 0.75 <= certificate["bound"] < 0.9
    assert (
        "on later rows of the 40 groups, each group weighted equally, in the period" in certificate["claim"]
    )
    assert "Nothing is claimed about other groups" in certificate["claim"]


def test_what_was_predicted_is_what_certified(devices):
    trial = next(t for t in devices.report["trials"] if t["rung"] == devices.report["winner"])
    assert trial["held_out"] == {"how": "latest", "folds": 1}
    assert trial["predicted_bounds"][0] == pytest.approx(devices.report["certificate"]["bound"], abs=0.06)


def test_the_page_says_it_in_both_languages(devices):
    english = certificate_claim(devices.report, "en")
    assert "on later rows of the 40 groups, each group weighted equally" in english
    assert "groups are assumed not to influence each other" in english
    chinese = certificate_claim(devices.report, "zh")
    assert "这 40 个组的后续数据" in chinese and "不涉及其他组" in chinese
    page = (devices.folder / "report.html").read_text("utf-8")
    assert "The rows of each group after the cut-off" in page or "每组在切分点之后的行" in page


def test_the_lock_knows_groups_and_rows(devices):
    lock = CertificateLock(devices.folder.parent / "certificate.lock")
    (rule,) = json.loads(lock.path.read_text())["splits"].values()
    assert (rule["by"], rule["groups"]) == ("time", "same")
    # 840 rows and 40 groups whose past trained; the looks are of the 40 groups.
    assert len(lock.trained()) == 880 and len(lock.looked()) == 40


def test_tickets_of_customers_certify_too(tickets):
    report = tickets.report
    assert tickets.cleared, report["advice"]
    assert report["certificate"]["units"] == 60 and report["certificate"]["sampling"] == "fixed"
    assert report["data"]["train"] > 700 and "group_spans_cutoff" not in report["data"]["quarantined"]


def test_a_bar_out_of_reach_says_how_many_groups_it_takes(devices, tmp_path):
    folder = devices.folder.parent
    for name in ("devices.csv",):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "product.yaml").write_text(DEVICES.replace("0.75", "0.9"))
    found = rung.build(tmp_path / "product.yaml", run=tmp_path / "run")
    assert not found.cleared
    item = next(item for item in found.report["advice_items"] if item["key"] == "groups_needed")
    assert item["values"]["here"] == 40 < item["values"]["needed"]
