"""The pages on tracking are followed literally: built, tracked, read back."""

import re
import shlex

import pytest

from support import ROOT, run_cli, write_spec

PAGES = ["track.md", "track.zh.md"]


@pytest.mark.parametrize("page", PAGES)
def test_the_page_is_followed(page, news_csv, tmp_path, monkeypatch, capsys):
    for package in ("mlflow", "alembic", "tensorboardX"):
        pytest.importorskip(package, reason=f"needs {package}: pip install 'rung[track]'")
    text = (ROOT / "docs" / "howto" / page).read_text(encoding="utf-8")
    write_spec(tmp_path, news_csv)
    monkeypatch.chdir(tmp_path)
    if page == PAGES[0]:  # The commands are the same in both.
        lines = [
            line
            for block in re.findall(r"```bash\n(.*?)```", text, re.S)
            for line in block.splitlines()
            if line.startswith("rung ")
        ]
        assert len(lines) == 1
        done = run_cli(*shlex.split(lines[0])[1:], cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("tracked in ") == 2
    build, read = re.findall(r"```python\n(.*?)```", text, re.S)
    exec(compile(build, page, "exec"), {})
    exec(compile(read, page, "exec"), {})
    winner, bound = capsys.readouterr().out.split()[-2:]
    assert winner == "tfidf_linear" and float(bound) > 0.7
    assert list(tmp_path.rglob("events.out.tfevents.*"))
