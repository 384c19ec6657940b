"""serve-in-production.md and serve-in-production.zh.md are followed literally, with real curl."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from rung.journal.postgres import VARIABLE
from server_process import free_port, start
from support import ROOT, write_spec
from waiting import LONG

HOWTO = ROOT / "docs" / "howto"
PAGES = ("serve-in-production.md", "serve-in-production.zh.md")


@pytest.mark.skipif(not shutil.which("curl"), reason="there is no curl here")
@pytest.mark.parametrize("page", PAGES)
def test_the_page_is_followed(page, built, news_csv, tmp_path):
    text = (HOWTO / page).read_text(encoding="utf-8")
    (limits,) = re.findall(r"```yaml\n(.*?)```", text, re.S)
    write_spec(tmp_path, news_csv, extra=limits)
    shutil.copytree(built.bundle, tmp_path / "runs" / "desk-001" / "bundle")
    (tmp_path / "runs" / "desk-001" / "report.json").write_text('{"cleared": true}')
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "rung").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m rung.cli "$@"\n')
    (tmp_path / "bin" / "rung").chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    port, made, said = free_port(), "", {}
    server = None
    try:
        blocks = re.findall(r"```bash\n(.*?)```", text, re.S)
        # Several servers and their database: see test_shared_servers.py.
        alone = [block for block in blocks if VARIABLE not in block]
        assert len(alone) == len(blocks) - 1
        for line in "".join(alone).splitlines():
            if line.startswith("pip "):
                continue
            if line.startswith("rung serve"):
                server = start(tmp_path / line.split()[2], tmp_path / "service", port, env=env)
                continue
            export = re.fullmatch(r'export (\w+)="\$\((.*)\)"', line)
            command = export[2] if export else line.replace("localhost:8000", f"127.0.0.1:{port}").replace('"ID"', f'"{made}"')  # fmt: skip
            command = command.replace("curl ", "curl --fail-with-body -s ")
            done = subprocess.run(["bash", "-c", command], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)  # fmt: skip
            assert done.returncode == 0, (line, done.stdout, done.stderr)
            if export:
                env[export[1]] = done.stdout.strip()
            elif "/stream " in line:
                assert done.stdout.startswith("event: answer\ndata: {"), done.stdout
            elif line.startswith("curl"):
                said[line.split()[1]] = answer = json.loads(done.stdout)
                made = made or answer["predictions"][0]["id"]
                if line.split()[1].endswith("erase"):
                    assert answer["erased_predictions"] == 1
                if line.split()[1].endswith("export"):
                    assert answer["predictions"][0]["input"] == {"text": "The striker scored twice"}
    finally:
        if server:
            server.terminate()
            server.wait(LONG)


def test_the_table_of_roles_is_the_one_of_the_code():
    from rung.serving.http.access import ENDPOINTS, PUBLIC

    for page in PAGES:
        rows = re.findall(
            r"^\| (.*?`/?[^|]*) \|(.*)\|(.*)\|(.*)\|$", (HOWTO / page).read_text(encoding="utf-8"), re.M
        )
        told = {}
        for paths, *cells in rows:
            for path in re.findall(r"(/[^`\s]*)`", paths):
                told[path] = [
                    role
                    for role, cell in zip(("predict", "review", "admin"), cells, strict=True)
                    if cell.strip()
                ]
        for endpoint in ENDPOINTS:
            short = endpoint.path.rpartition("/")[2]
            found = told.get(endpoint.path) or told.get(f"/{short}") or told.get("/versions/{version}/...")
            roles = ["predict", "review", "admin"] if endpoint.roles is PUBLIC else sorted(endpoint.roles)
            assert sorted(found) == sorted(roles), (page, endpoint)
