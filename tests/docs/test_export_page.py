"""The page on exports is followed: its commands on a small run, its JavaScript in Node.js, its Python from the wheel."""

import re
import shlex
import shutil
import subprocess
import sys
import zipfile

import pytest

from support import ROOT, run_cli

PAGES = ["export.md", "export.zh.md"]


def blocks(page, language):
    text = (ROOT / "docs" / "howto" / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}[^\n]*\n(.*?)^```", text, re.S | re.M)


def test_both_pages_show_the_same_blocks():
    for language in ("bash", "js", "python"):
        assert blocks(PAGES[0], language) == blocks(PAGES[1], language)


@pytest.mark.skipif(shutil.which("node") is None, reason="no Node.js")
def test_the_page_is_followed(built, tmp_path):
    lines = [line for block in blocks(PAGES[0], "bash") for line in block.splitlines()]
    for line in lines:
        words = shlex.split(line)
        if words[:2] == ["rung", "export"] and not {"c", "docker"} & set(words):
            words[2] = str(built.folder)
            done = run_cli(*words[1:], cwd=tmp_path)
            assert done.returncode == 0, done.stderr
    (script,) = blocks(PAGES[0], "js")
    (tmp_path / "news-tab" / "try.mjs").write_text(script, encoding="utf-8")
    said = subprocess.run(
        ["node", "try.mjs"], cwd=tmp_path / "news-tab", capture_output=True, text=True, check=True
    ).stdout
    with zipfile.ZipFile(next((tmp_path / "dist").glob("*.whl"))) as archive:
        archive.extractall(tmp_path / "installed")
    # The small run is called desk.
    code = (
        blocks(PAGES[0], "python")[0].replace("news", "desk").replace("desk.predict", "found = desk.predict")
    )
    shown = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'installed')!r})\n{code}\nprint(found[0]['label'])"
    )
    done = subprocess.run([sys.executable, "-c", shown], capture_output=True, text=True, check=True)
    assert done.stdout.split() == said.split()[:1]
