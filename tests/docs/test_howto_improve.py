"""improve.md and improve.zh.md are followed literally, on real news with a class nobody trained on and on Chinese reviews."""

import os
import random
import re
import shlex

import pytest
from test_howto_label import fill

import caches
import rung
from rung.journal.encryption import MASTER_KEY_VARIABLE, new_master_key
from served_products import remember
from support import ROOT, run_cli, write_csv

HOWTO = ROOT / "docs" / "howto"
FAST = "budget: {effort: 1, threads: 1}\nladder: [majority, tfidf_linear]\n"


def english(folder):
    """Train on four classes, serve five: tech is new."""
    rows = {
        " ".join(path.read_bytes().decode("utf-8", "replace").split())[:400]: path.parent.name
        for path in sorted(folder.glob("*/*.txt"))
    }
    rows = sorted(rows.items())
    random.Random(0).shuffle(rows)
    known = [row for row in rows if row[1] != "tech"]
    traffic = known[1_100:1_500] + [row for row in rows if row[1] == "tech"][:250]
    # An audit round is the first rows drawn: they must be of what is new too, as in a world that has changed.
    random.Random(1).shuffle(traffic)
    return known[:1_100], traffic


def chinese(_):
    rows = random.Random(0).sample(sorted(set(caches.chinese_reviews())), 1_500)
    return rows[:900], rows[900:]


@pytest.mark.parametrize("page,world", [("improve.md", english), ("improve.zh.md", chinese)])
def test_it_is_followed(page, world, news_folder, tmp_path, monkeypatch):
    text = (HOWTO / page).read_text(encoding="utf-8")
    (spec,) = re.findall(r"```yaml\n(.*?)```", text, re.S)
    (tmp_path / "product.yaml").write_text(spec + FAST, encoding="utf-8")
    trained, traffic = world(news_folder)
    write_csv(tmp_path / re.search(r"path: (\S+),", spec)[1], ["text", "label"], trained)
    monkeypatch.setenv(MASTER_KEY_VARIABLE, new_master_key())
    first = rung.build(tmp_path / "product.yaml")
    assert first.cleared
    remember(tmp_path / "service", first.bundle, [{"text": row} for row, _ in traffic], None)
    lines = [line for block in re.findall(r"```bash\n(.*?)```", text, re.S) for line in block.splitlines()]
    assert lines[0] == "rung review product.yaml"
    served = []
    for line in lines[1:]:
        done = run_cli(*shlex.split(line)[1:], "--lang", "en", cwd=tmp_path, env=dict(os.environ))
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        if "--export" in line:
            fill(tmp_path / "review.csv", dict(traffic))
        if "--import" in line:
            assert re.search(r"^(3\d\d|400) answers new or changed", done.stdout)
        if line.endswith("--status") and " improve " in line:
            assert "a complete audit round: `rung improve` can build a challenger." in done.stdout
        if line == "rung improve product.yaml":
            assert "Promoted:" in done.stdout and "(reused)" in done.stdout
        served.append(re.findall(r"served by (\w+) from now on", done.stdout))
    assert [kind for kind in ("promoted", "rolled back to") if kind in done.stdout] == [
        "promoted",
        "rolled back to",
    ]
    assert done.stdout.count("promoted") == 2 and "by Ana" in done.stdout
