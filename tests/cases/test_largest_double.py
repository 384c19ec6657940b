"""The largest double, which programs write for a missing number, is missing or clipped: every family fits, and a build ends."""

import pytest

import rung
from case_products import HERE
from rung.models.linear_table import LinearTable

FAMILIES = ["linear_table", "boosted_trees", "explainable_boosting", "stack"]
SPEC = """name: huge
task: tabular_classification
data: {path: huge.csv, target: cls}
bar: {metric: accuracy, at_least: 0.5}
budget: {effort: 0, threads: 2}
ladder: [{model: boosted_trees}, {model: linear_table}, {model: stack}, {model: explainable_boosting}]
"""


@pytest.fixture
def huge(tmp_path):
    (tmp_path / "huge.csv").write_bytes((HERE / "huge.csv").read_bytes())
    (tmp_path / "product.yaml").write_text(SPEC)
    return tmp_path / "product.yaml"


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_every_family_learns_the_other_columns(huge):
    done = rung.build(huge, all_rungs=True)
    trials = {trial["rung"]: trial for trial in done.report["trials"]}
    assert set(trials) == {"majority", *FAMILIES}
    assert {name: trials[name]["scores"]["accuracy"] > 0.85 for name in FAMILIES} == dict.fromkeys(
        FAMILIES, True
    )
    assert done.cleared
    model = rung.load(done.bundle)
    for row in ({"x": 1.7976931348623157e308, "v": 1.5, "u": -1e300}, {"x": 2.0, "v": 0.1, "u": 1e-320}):
        (answer,) = model.predict([row])
        assert answer.value in {"p", "q"} and sum(answer.extra["probabilities"]) == pytest.approx(1)


def test_a_family_that_cannot_fit_is_left_out_with_its_reason(huge, monkeypatch):
    def fit(cls, examples, params, context):
        raise ValueError("Input X contains infinity")

    monkeypatch.setattr(LinearTable, "fit", classmethod(fit))
    done = rung.build(huge)
    trials = {trial["rung"]: trial for trial in done.report["trials"]}
    assert (
        trials["linear_table"]["status"] == "failed"
        and "contains infinity" in trials["linear_table"]["problem"]
    )
    assert done.cleared and done.report["winner"] in {"boosted_trees", "explainable_boosting"}
