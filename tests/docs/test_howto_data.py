"""The page on checking data is followed literally in both languages: the files are damaged, checked and corrected."""

import re
import shlex

import pytest

from rung.data.checks import checks
from support import ROOT, run_cli, run_python

PAGES = [ROOT / "docs" / "howto" / name for name in ("check-your-data.md", "check-your-data.zh.md")]
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.S)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_page_is_followed(page, example_data, tmp_path):
    example_data("sentiment" if ".zh" in page.name else "news")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    said, compared = "", 0
    for language, block in BLOCK.findall(page.read_text(encoding="utf-8")):
        if language == "python":
            done = run_python(block, tmp_path)
            assert done.returncode == 0 and done.stdout, done.stderr
        elif language == "bash":
            said = ""
            for line in block.splitlines():
                if line.startswith("rung "):
                    done = run_cli(*shlex.split(line)[1:], cwd=tmp_path)
                    assert done.returncode == 0, done.stderr
                    said += done.stdout
        elif language == "text":
            for line in block.splitlines():
                assert line in said, f"{line}\n---\n{said}"
                compared += 1
    assert compared == 7


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_table_lists_every_check(page):
    rows = dict(re.findall(r"^\| `(\w+)` \| .+ \| (.+) \|$", page.read_text(encoding="utf-8"), re.M))
    assert set(rows) == set(checks())
    for name, module in checks().items():
        assert (rows[name] in {"yes", "是"}) == (module.WHEN == "build")
