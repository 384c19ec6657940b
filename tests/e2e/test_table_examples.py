"""The worked examples on tables, each from its package to a served answer; larger ones at low effort."""

import csv
import shutil

import pytest
import yaml

import rung
from support import ROOT

pytest.importorskip("lightgbm")
# Example, a rung that is known to clear its bar, and what the bundle must reach on held-out rows.
EXAMPLES = {
    "churn": ("boosted_trees", 0.9),
    "disease": ("linear_table", 0.98),
    "income": ("boosted_trees", 0.92),
    "rare": ("linear_table", 0.98),
}


# One example a kind of model is built in the fast run; the largest has 32,561 rows.
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n == "income" else n for n in EXAMPLES]
)
def test_the_example_is_certified_and_answers(name, example_data, tmp_path):
    rung_name, score = EXAMPLES[name]
    example_data(name)
    shutil.copytree(
        ROOT / "examples" / name, tmp_path / name, ignore=shutil.ignore_patterns("runs", "*.lock")
    )
    path = tmp_path / name / "product.yaml"
    spec = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert spec["budget"] == {"effort": 2}
    spec |= {"budget": {"effort": 1, "threads": 1}, "ladder": [rung_name]}
    path.write_text(yaml.safe_dump(spec, allow_unicode=True), encoding="utf-8")
    done = rung.build(path, run=tmp_path / "run")
    assert done.cleared, [(t["rung"], t["status"], t["scores"]) for t in done.report["trials"]]
    trial = next(t for t in done.report["trials"] if t["rung"] == done.report["winner"])
    assert trial["rung"] == rung_name and trial["scores"]["roc_auc"] > score
    conditions = done.report["certificate"]["conditions"]
    assert [c["metric"] for c in conditions] == [c["metric"] for c in spec["bar"]]
    assert all(c["exact"] for c in conditions)
    model = rung.load(done.bundle)
    with (tmp_path / name / spec["data"]["path"]).open(encoding="utf-8", newline="") as file:
        rows = [row for _, row in zip(range(50), csv.DictReader(file), strict=False)]
    answers = model.predict(rows)
    assert {a.value for a in answers} <= set(model.schema.labels) and model.explain(rows[:2])[0]
    positive = spec.get("costs", {}).get("positive")
    assert positive is None or model.schema.labels[-1] == positive
    assert done.report["details"]["thresholds"]["positive"] == model.schema.labels[-1]
    # Nothing in these tables leaks, and the checks say so.
    assert not [f for f in done.report["findings"] if f["check"].startswith("leak")]
