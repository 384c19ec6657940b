"""The README's own-data commands, in order, as they stand, with only a file of tickets given: the loop closes."""

import re
import shlex

import pytest

from served_products import ask, review_all, served
from support import ROOT, run_cli, write_csv

FIRST = re.compile(r"```bash\n(rung plan tickets\.csv.*?)```", re.S)
SECOND = re.compile(r"```bash\n(rung drift product\.yaml.*?)```", re.S)


def commands_of(page, block):
    (found,) = block.findall((ROOT / page).read_text(encoding="utf-8"))
    return [shlex.split(line, comments=True)[1:] for line in found.splitlines() if line.startswith("rung ")]


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md"])
def test_the_commands_run_in_order(page, news_rows, tmp_path, monkeypatch):
    monkeypatch.setenv("RUNG_LANG", "zh" if "zh" in page else "en")
    write_csv(tmp_path / "tickets.csv", ["text", "queue"], news_rows[:480])
    first, second = commands_of(page, FIRST), commands_of(page, SECOND)
    assert [words[0] for words in first] == ["plan", "data", "build", "serve"]
    assert [words[0] for words in second] == ["drift", "review", "improve", "rollback"]
    for words in first[:3]:
        done = run_cli(*words, cwd=tmp_path)
        if words[0] == "plan":
            # What the plan advises to check: the bar, and less effort than it proposes.
            spec = (tmp_path / "product.yaml").read_text(encoding="utf-8")
            spec = re.sub(r"at_least: [\d.]+", "at_least: 0.6", spec).replace("effort: 2", "effort: 0")
            (tmp_path / "product.yaml").write_text(spec, encoding="utf-8")
        assert done.returncode == 0, done.stdout + done.stderr
    spec = tmp_path / "product.yaml"
    drift, review, improve, rollback = second
    with served(spec) as (address, env):
        monkeypatch.setenv("RUNG_MASTER_KEY", env["RUNG_MASTER_KEY"])
        rows = [{"text": f"{text[:300]} number {i}"} for i, (text, _) in enumerate(news_rows[480:540])]
        assert len(ask(address, "/v1/models/tickets/predict", {"inputs": rows})["predictions"]) == 60
        seen = run_cli(*drift, "--json", cwd=tmp_path)
        assert seen.returncode in {0, 3} and '"rows": 60' in seen.stdout, seen.stdout[:500] + seen.stderr
        assert review == ["review", "product.yaml"]
        # What was served can be reviewed: its inputs were kept.
        assert review_all(spec, lambda cells: news_rows[0][1], most=5).labelled == 5
        done = run_cli(*improve, cwd=tmp_path)
        assert done.returncode in {0, 3}, done.stdout + done.stderr
        # Nothing went live yet, so there is nothing to go back to, and it says so.
        done = run_cli(*rollback, cwd=tmp_path)
        assert done.returncode in {0, 2} and "Traceback" not in done.stderr, done.stderr
