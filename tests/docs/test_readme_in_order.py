"""The README's own-data commands, in order, as they stand, with only a file of tickets given: the loop closes."""

import re
import shlex

import pytest

from served_products import ask, review_all, served
from support import ROOT, run_cli, write_csv

BLOCK = re.compile(r"```bash\n(rung plan tickets\.csv.*?)```", re.S)


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md"])
def test_the_commands_run_in_order(page, news_rows, tmp_path, monkeypatch):
    monkeypatch.setenv("RUNG_LANG", "zh" if "zh" in page else "en")
    write_csv(tmp_path / "tickets.csv", ["text", "queue"], news_rows[:480])
    (block,) = BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))
    commands = [
        shlex.split(line, comments=True)[1:] for line in block.splitlines() if line.startswith("rung ")
    ]
    assert [words[0] for words in commands] == ["plan", "data", "build", "serve", "improve"]
    for words in commands[:3]:
        done = run_cli(*words, cwd=tmp_path)
        if words[0] == "plan":
            # What the plan advises to check: the bar, and less effort than it proposes.
            spec = (tmp_path / "product.yaml").read_text(encoding="utf-8")
            spec = re.sub(r"at_least: [\d.]+", "at_least: 0.6", spec).replace("effort: 2", "effort: 0")
            (tmp_path / "product.yaml").write_text(spec, encoding="utf-8")
        assert done.returncode == 0, done.stdout + done.stderr
    spec = tmp_path / "product.yaml"
    with served(spec) as (address, env):
        monkeypatch.setenv("RUNG_MASTER_KEY", env["RUNG_MASTER_KEY"])
        rows = [{"text": f"{text[:300]} number {i}"} for i, (text, _) in enumerate(news_rows[480:540])]
        assert len(ask(address, "/v1/models/tickets/predict", {"inputs": rows})["predictions"]) == 60
        assert run_cli("improve", "product.yaml", cwd=tmp_path).returncode in {0, 3}
    # What was served can be reviewed: its inputs were kept.
    assert review_all(spec, lambda cells: news_rows[0][1], most=5).labelled == 5
    drift = run_cli("drift", "product.yaml", "--json", cwd=tmp_path)
    assert drift.returncode in {0, 3} and '"rows": 60' in drift.stdout, drift.stdout[:500] + drift.stderr
