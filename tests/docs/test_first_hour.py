"""The first hour in a fresh shell: an empty home, one file, and what README or terminal say, until a challenger serves and is rolled back."""

import json
import os
import pty
import random
import re
import select
import shlex
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from served_products import answer_page, ask
from support import ROOT, write_csv
from waiting import LONG, wait_until

pytestmark = pytest.mark.slow
BLOCK = re.compile(r"```bash\n(.*?)```", re.S)
LANGUAGES = {"README.md": "en", "README.zh-CN.md": "zh"}


class Shell:
    """A terminal of somebody who has just installed rung. env: a home of its own and nothing of ours."""

    def __init__(self, folder, lang):
        self.folder = folder
        (folder / "home").mkdir()
        path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
        system = "zh_CN.UTF-8" if lang == "zh" else "C.UTF-8"
        self.env = {"HOME": str(folder / "home"), "PATH": path, "LANG": system, "OMP_NUM_THREADS": "1"}
        if "COVERAGE_PROCESS_START" in os.environ:
            self.env["COVERAGE_PROCESS_START"] = os.environ["COVERAGE_PROCESS_START"]

    def run(self, line, *codes):
        """Return what a command prints; it must end with one of the codes, 0 by default."""
        done = subprocess.run(
            ["bash", "-c", line], cwd=self.folder, env=self.env, capture_output=True, text=True
        )
        said = done.stdout + done.stderr
        assert done.returncode in (codes or (0,)), f"{line}\n{said}"
        assert "Traceback" not in said
        return said

    @contextmanager
    def serving(self, line, name):
        """Yield the address of a server started on a terminal, whose question about inputs is answered with yes."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        leader, end = pty.openpty()
        process = subprocess.Popen(
            ["bash", "-c", f"exec {line} --port {port}"], cwd=self.folder, env=self.env, stdin=end, stdout=end, stderr=end
        )  # fmt: skip
        os.close(end)
        said = b""
        try:
            asked = time.monotonic() + LONG
            while b"/docs" not in said:
                assert time.monotonic() < asked and process.poll() is None, said.decode()
                if select.select([leader], [], [], 0.2)[0]:
                    said += os.read(leader, 65_536)
                if b"[Y/n]" in said and b"\n" not in said.rpartition(b"[Y/n]")[2]:
                    os.write(leader, b"y\n")
            address = f"http://127.0.0.1:{port}"
            assert address in said.decode()

            def ready():
                if select.select([leader], [], [], 0)[0]:
                    os.read(leader, 65_536)
                try:
                    return ask(address, "/readyz")
                except OSError:
                    assert process.poll() is None
                    return None

            wait_until(ready, "the server is ready", pause=0.2)
            yield address
        finally:
            process.send_signal(signal.SIGINT)
            wait_until(lambda: _drained(leader, process), "the server ends", pause=0.1)
            os.close(leader)

    def answer(self, line, who, truth, most):
        """Answer the page that a command shows, as somebody who knows the truth; return what it says at its end."""
        process = subprocess.Popen(
            ["bash", "-c", f"exec {line}"], cwd=self.folder, env=self.env | {"PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            found = next(filter(None, (re.search(r"http://127\S+", text) for text in process.stderr)))
            answer_page(found[0].rstrip("/"), who, truth, most)
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=LONG)
        finally:
            process.kill()
        assert process.returncode == 0
        return out


def _drained(leader, process):
    if select.select([leader], [], [], 0)[0]:
        try:
            os.read(leader, 65_536)
        except OSError:
            return process.wait(LONG) is not None
    return process.poll() is not None


def known(rows):
    """Return the label of a row by the letters of what a page shows of it, which is cleaned and may be cut."""

    def letters(text):
        return re.sub(r"[^a-zA-Z]", "", text)[:60]

    labels = {letters(text): label for text, label in rows}
    return lambda cells: labels[letters(cells["text"])]


@pytest.fixture(scope="module")
def articles(news_folder):
    """(text, label) of 1,100 different articles, the first 300 characters of each, in any order."""
    found = {}
    for path in sorted(news_folder.rglob("*.txt")):
        text = " ".join(path.read_bytes().decode("utf-8", "replace").split())[:300]
        found[text[:120]] = (text, path.parent.name)
    rows = list(found.values())
    random.Random(5).shuffle(rows)
    return rows[:1100]


def lesser(shell, bar="0.6"):
    """Set the bar and less effort, as the plan says that each line may be changed."""
    path = shell.folder / "product.yaml"
    text = re.sub(r"at_least: [\d.]+", f"at_least: {bar}", path.read_text(encoding="utf-8"))
    text = text.replace("effort: 2", "effort: 0")
    path.write_text(text if "effort" in text else text + "budget: {effort: 0}\n", encoding="utf-8")


def requests(address, rows, name, key=None):
    for begin in range(0, len(rows), 40):
        body = {"inputs": [{"text": text[:120]} for text, _ in rows[begin : begin + 40]]}
        found = ask(address, f"/v1/models/{name}/predict", body, key)
        assert len(found["predictions"]) == len(body["inputs"])


def close_the_loop(shell, name, rows, lines, key=None, reviewer="Ana"):
    """Go from served requests to a challenger that serves, and back."""
    drift, review, improve, rollback = lines
    facts = json.loads(shell.run(f"{drift} --json", 0, 3))
    assert facts["period"]["rows"] == len(rows)
    shell.run(drift, 0, 3)
    said = shell.answer(review, reviewer, known(rows), 400)
    assert "rung improve" in said
    # With the default margin these rows show nothing, and it says how many do and what else to do.
    said = shell.run(improve, 0)
    assert "improve.margin" in said
    spec = shell.folder / "product.yaml"
    spec.write_text(spec.read_text(encoding="utf-8") + "improve: {margin: 0.2}\n", encoding="utf-8")
    shell.run(improve, 0)
    history = shell.run("rung history --json")
    assert json.loads(history)[-1]["action"] == "promote"
    shell.run(rollback, 0)
    (back,) = Path(shell.folder, "service", "improve").glob("*/run/bundle")
    shell.run(f"rung promote {shlex.quote(str(back))}", 0)
    shell.run(rollback, 0)


@pytest.mark.parametrize("page", LANGUAGES)
def test_the_readme_in_a_fresh_shell(page, articles, tmp_path):
    shell = Shell(tmp_path, LANGUAGES[page])
    write_csv(tmp_path / "tickets.csv", ["text", "queue"], articles[:480])
    blocks = BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))
    own = [block for block in blocks if "rung plan tickets.csv" in block or "rung drift" in block]
    first, second = ([line.split("  #")[0].strip() for line in block.splitlines()] for block in own)
    plan, check, build, serve = first
    shell.run(plan)
    lesser(shell)
    shell.run(check)
    shell.run(build)
    with shell.serving(serve, "tickets") as address:
        requests(address, articles[480:880], "tickets")
        close_the_loop(shell, "tickets", articles[480:880], second)


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_texts_without_labels_in_a_fresh_shell(lang, articles, tmp_path):
    """Only what the terminal says: plan, label, build, serve with keys, requests, drift, review, improve, promote, rollback."""
    shell = Shell(tmp_path, lang)
    rows = [(text[:120], label) for text, label in articles]
    write_csv(tmp_path / "tickets.csv", ["text"], [[text] for text, _ in rows[:600]])
    said = shell.run("rung plan tickets.csv")
    assert "rung label product.yaml" in said
    spec = tmp_path / "product.yaml"
    text = spec.read_text(encoding="utf-8")
    assert ("由 `rung plan` 写出" if lang == "zh" else "Written by `rung plan`") in text
    # The labels' names are the user's to change, as the file and the terminal say.
    names = ", ".join(sorted({label for _, label in rows}))
    begin, end = text.index("  labels:"), text.index("  guidelines:")
    spec.write_text(f"{text[:begin]}  labels: [{names}]\n{text[end:]}", encoding="utf-8")
    lesser(shell, "0.3")
    said = shell.answer("rung label product.yaml --by Ana", "Ana", known(rows), 330)
    assert "rung build product.yaml" in said
    shell.run("rung build product.yaml")
    key, boss = (
        shell.run(f"rung keys create {name} --role {role} 2>/dev/null").split()[-1]
        for name, role in (("app", "predict"), ("boss", "review"))
    )
    with shell.serving("rung serve product.yaml", "tickets") as address:
        requests(address, rows[600:1000], "tickets", key)
        lines = ["rung drift", "rung review", "rung improve", "rung rollback"]
        close_the_loop(shell, "tickets", rows[600:1000], lines, reviewer=boss)
