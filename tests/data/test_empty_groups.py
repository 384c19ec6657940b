"""Rows that name no group are counted, stop when they are many, and are left out on request."""

import csv
import random

import pytest

from rung.core import registry
from rung.core.certificate_lock import CertificateLock
from rung.core.messages import LANGUAGES
from rung.core.spec.product import Product
from rung.data.checks import empty_groups
from rung.data.prepare.prepare import prepare
from rung.data.profile.view import View
from rung.pages.findings import finding_text


@pytest.fixture
def checked(tmp_path):
    """Return a function from the share of empty cells, and keys of `data`, to the finding and the facts."""

    def ask(share, **data):
        draw = random.Random(0)
        with (tmp_path / "t.csv").open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["text", "label", "customer"])
            for i in range(400):
                words = " ".join(draw.choice("abcdefghij") * 4 + str(draw.randrange(99)) for _ in range(6))
                table.writerow([words, draw.choice(["x", "y"]), "" if i < 400 * share else f"c{i % 40}"])
        spec = {"path": "t.csv", "group": "customer", **data}
        bar = {"metric": "accuracy", "at_least": 0.5}
        product = Product.model_validate({"task": "text_classification", "data": spec, "bar": bar})
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "certificate.lock").unlink(missing_ok=True)
        lock = CertificateLock(tmp_path / "certificate.lock")
        dataset = prepare(product, tmp_path, registry.task(product.task), lock, tmp_path / "data")
        return empty_groups.check(View(product, tmp_path, dataset)), dataset.facts

    return ask


def test_many_rows_without_a_group_stop(checked):
    finding, facts = checked(0.3)
    assert (finding.level, finding.rows) == ("stop", 120)
    assert finding.values["certify"] == facts["groups"]["ungrouped_certification"] > 0
    for lang in LANGUAGES:
        words = finding_text(finding.as_dict(), lang)
        assert (
            "120" in words["what"]
            and "missing_group: quarantine" in words["remedy"]
            and "{" not in words["what"]
        )


def test_a_few_are_a_warning_and_so_are_many_where_each_is_a_group_of_its_own(checked):
    assert checked(0.02)[0].level == "warn"
    assert checked(0.3, missing_group="own")[0].level == "warn"


def test_they_are_left_out_on_request(checked):
    finding, facts = checked(0.3, missing_group="quarantine")
    assert finding is None and facts["quarantined"] == {"missing_group": 120}


def test_nothing_is_said_where_all_have_one_or_none_is_asked_for(checked):
    assert checked(0.0)[0] is None
    assert checked(0.3, group=None)[0] is None
