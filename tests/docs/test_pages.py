"""What README and tutorial show is run: Python blocks as they stand, commands by their options, links by their files."""

import re
import shlex
import subprocess
import sys

import click
import pytest

from rung.cli import COMMANDS, root
from support import ROOT, run_python, write_spec

PAGES = [ROOT / name for name in ("README.md", "README.zh-CN.md", "docs/tutorial.md", "docs/tutorial.zh.md")]
ALL_PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_python_blocks_run(page, news_csv, tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.S)
    assert blocks
    write_spec(tmp_path, news_csv)
    for block in blocks:
        done = run_python(block, tmp_path)
        assert done.returncode == 0, done.stderr


def commands():
    for page in ALL_PAGES:
        for block in re.findall(r"```(?:bash|text)\n(.*?)```", page.read_text(encoding="utf-8"), re.S):
            for line in block.replace("\\\n", " ").splitlines():
                words = line.split("#")[0].strip().removesuffix("&").strip()
                if re.match(r"(\.venv/bin/)?rung [a-z]", words) and "Usage" not in line:
                    yield page.name, words


@pytest.mark.parametrize("page,line", sorted(set(commands())))
def test_commands_parse(page, line):
    words = shlex.split(line)[1:]
    assert words[0] in COMMANDS, line
    command = root.get_command(click.Context(root), words[0])
    command.make_context(words[0], words[1:], resilient_parsing=False)


@pytest.mark.parametrize("page", ALL_PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_generated_pages_are_fresh():
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_nothing_names_a_machine():
    """No path of the machine a file was written on stands in it."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()
    pattern = re.compile(r"/(?:home|Users|root|work)/[a-z]")
    for name in listed:
        path = ROOT / name
        if (
            path.suffix in {".py", ".md", ".toml", ".yaml", ".html", ".txt", ""}
            and path.is_file()
            and path != ROOT / "tests/docs/test_pages.py"
        ):
            assert not pattern.search(path.read_text(encoding="utf-8")), name
