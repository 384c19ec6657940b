"""The credit table in the round: loans are decided, looked at again over HTTP, learned from, and the product replaces itself."""

import csv
import json
import random

import pytest

from rung.serving.http.api_keys import KeyStore
from served_products import answer_page, ask, reviewing, served
from support import run_cli, write_csv
from waiting import wait_until

SPEC = """name: credit
task: tabular_classification
data: {path: credit.csv, target: creditability}
costs: {positive: bad, false_negative: 5, false_positive: 1}
bar:
  - {metric: roc_auc, at_least: 0.51}
  - {metric: expected_cost, at_most: 1.0}
budget: {effort: 1, threads: 1}
ladder: [majority, linear_table]
improve: {audit_rows: 200, audit_share: 0.6, min_feedback: 50, margin: 0.1}
"""


@pytest.fixture(scope="module")
def loans(example_data):
    with (example_data("credit") / "credit.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    random.Random(3).shuffle(rows)
    return rows


def plain(cells):
    """Return a row's cells in one way of writing, whether a file or the page shows them."""

    def one(value):
        try:
            return f"{float(value):g}"
        except ValueError:
            return " ".join(str(value).split())

    return tuple(one(cells[name]) for name in sorted(cells) if name != "creditability")


def test_the_circle_closes(loans, tmp_path):
    write_csv(tmp_path / "credit.csv", list(loans[0]), [list(row.values()) for row in loans[:550]])
    spec = tmp_path / "product.yaml"
    spec.write_text(SPEC, encoding="utf-8")
    built = run_cli("build", spec, "--json")
    assert built.returncode == 0, built.stdout[-1500:] + built.stderr
    traffic = loans[550:]
    truth = {plain(row): row["creditability"] for row in traffic}
    inputs = [{k: v for k, v in row.items() if k != "creditability"} for row in traffic]
    with served(spec) as (address, env):
        shop = KeyStore(tmp_path / "service").create("bank", "predict")[1]
        ann = KeyStore(tmp_path / "service").create("ann", "review")[1]
        first = ask(address, "/v1/models/credit/predict", {"inputs": inputs}, shop)
        with reviewing(spec, env) as page:
            asked, progress = answer_page(page, ann, lambda cells: truth[plain(cells)], 420)
        assert progress["audit"]["whole"] and any(not guess for _, guess in asked)
        done = run_cli("improve", spec, "--lang", "zh", env=env)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "已上线" in done.stdout and "期望成本" in done.stdout

        def changed():
            reply = ask(address, "/v1/models/credit/predict", {"inputs": inputs[:5]}, shop)
            return reply if reply["version"] != first["version"] else None

        assert wait_until(changed, "the new version")["certified"]
        assert run_cli("rollback", spec, env=env).returncode == 0
    told = json.loads(run_cli("history", spec, "--json").stdout)
    assert [line["action"] for line in told] == ["promote", "rollback"]
