"""`rung profile` runs a few steps of a rung's training on training rows and shows where the time goes."""

import json

from support import run_cli, write_csv, write_spec


def test_operators_of_a_few_steps_are_shown(tmp_path, rows):
    data = write_csv(tmp_path / "rows.csv", ["text", "label"], rows)
    spec = write_spec(tmp_path, data)
    text = spec.read_text(encoding="utf-8").replace(
        "tfidf_linear]", "{model: mlp, params: {init: random, width: 16, batch_rows: 8}}]"
    )
    spec.write_text(text, encoding="utf-8")
    done = run_cli("profile", spec, "mlp", "--steps", "3", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["steps"] == 3 and found["rows_per_s"] > 0
    assert {"aten::embedding", "aten::addmm"} <= {one["name"] for one in found["operators"]}
    assert not (tmp_path / "runs").exists() and not (tmp_path / "certificate.lock").exists()
    shown = run_cli("profile", spec, "mlp", "--steps", "2", "--lang", "zh")
    assert shown.returncode == 0 and "算子" in shown.stdout
    assert "no rung called 'mpl'" in run_cli("profile", spec, "mpl").stderr
    refused = run_cli("profile", spec, "majority")
    assert refused.returncode == 2 and "reported 0 steps" in refused.stderr
