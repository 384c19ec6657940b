"""Every mistake of a spec is named at once, before data is read and before a run folder is made."""

import pytest

import rung
from rung.core.errors import DataError, SpecError
from support import run_cli, write_csv

SPEC = """name: desk
task: {task}
data: {{path: rows.csv, input: {input}, target: {target}{more}}}
bar: {{metric: {metric}, at_least: 0.6}}
budget: {{effort: 0, threads: 1}}
ladder: {ladder}
"""


@pytest.fixture
def spec(tmp_path):
    rows = [(f"{('good', 'bad')[i % 2]} thing number {i}", "ab"[i % 2], i) for i in range(200)]
    write_csv(tmp_path / "rows.csv", ["text", "label", "n"], rows)

    def write(
        task="text_classification",
        input="text",
        target="label",
        more="",
        metric="accuracy",
        ladder="[majority]",
    ):
        values = {
            "task": task,
            "input": input,
            "target": target,
            "more": more,
            "metric": metric,
            "ladder": ladder,
        }
        (tmp_path / "product.yaml").write_text(SPEC.format(**values))
        return tmp_path / "product.yaml"

    return write


def test_metrics_rungs_parameters_and_columns_together(spec):
    path = spec(
        input="txt", target="labl", more=", group: whoo", metric="acuracy",
        ladder="[majorty, {model: boosted_trees}, {model: tfidf_linear, params: {wrds: 3}}]",
    )  # fmt: skip
    with pytest.raises(SpecError) as found:
        rung.build(path)
    told = {problem.key: problem for problem in found.value.problems}
    assert set(told) == {
        "bar.metric", "ladder.0", "ladder.1", "ladder.2", "data.input", "data.target", "data.group",
    }  # fmt: skip
    assert all(problem.line for problem in told.values())
    assert (
        told["ladder.0"].fix == "Did you mean 'majority'?"
        and told["data.input"].fix == "Did you mean 'text'?"
    )
    assert not (path.parent / "runs").exists()


def test_a_missing_column_alone_is_an_error_of_the_data(spec):
    with pytest.raises(DataError, match="there is no column 'txt'"):
        rung.build(spec(input="txt"))


@pytest.mark.parametrize(
    "task,input,target,metric",
    [
        ("text_classification", "text", "label", "f1:a"),
        ("text_classification", "text", "label", "macro_f1"),
        ("tabular_classification", "text", "label", "roc_auc"),
        ("tabular_regression", "text", "n", "r2"),
    ],
)
def test_metrics_that_need_labels_pass(spec, task, input, target, metric):
    """They reach the data: labels are known only then."""
    floor = "mean" if task == "tabular_regression" else "majority"
    done = rung.build(spec(task, input, target, metric=metric, ladder=f"[{floor}]"))
    assert done.report["trials"]


def test_a_run_in_which_nothing_was_fitted_is_begun_anew(spec):
    path = spec(metric="f1:zzz")
    first = run_cli("build", path, "--run", "runs/one", cwd=path.parent)
    assert first.returncode == 2 and "names no label of the data" in first.stderr
    assert (path.parent / "runs" / "one" / "data").is_dir()
    second = run_cli("build", spec(metric="accuracy"), "--run", "runs/one", cwd=path.parent)
    assert second.returncode == 3, second.stderr
    third = run_cli("build", spec(metric="macro_f1"), "--run", "runs/one", cwd=path.parent)
    assert third.returncode == 2 and "different product.yaml" in third.stderr


def test_files_of_others_in_a_run_folder_are_kept(spec):
    path = spec(metric="f1:zzz")
    run_cli("build", path, "--run", "runs/one", cwd=path.parent)
    (path.parent / "runs" / "one" / "notes.txt").write_text("mine")
    again = run_cli("build", spec(metric="accuracy"), "--run", "runs/one", cwd=path.parent)
    assert again.returncode == 2 and (path.parent / "runs" / "one" / "notes.txt").read_text() == "mine"
