"""The terminal: quiet when piped, no colour when asked, in Chinese when asked, and a build watched from elsewhere."""

import functools
import os
import pty
import subprocess
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from rung.cli.progress import RemainingTime
from support import run_cli, write_spec
from waiting import LONG, wait_until


def in_terminal(*args, cwd, env=None):
    """Run `rung` where standard output and error are a terminal of 120 columns; return what appeared there."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "rung.cli", *map(str, args)], cwd=cwd, stdout=theirs, stderr=theirs,
        env={**os.environ, "COLUMNS": "120", "TERM": "xterm-256color", **(env or {})},
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 65536):
            shown += piece
    except OSError:  # Linux says so when the other end has gone.
        pass
    process.wait()
    os.close(ours)
    return shown.decode()


@pytest.fixture(scope="module")
def run_folder(built):
    return built.folder


def test_a_terminal_gets_colour_unless_it_was_declined(run_folder, tmp_path):
    assert "\x1b[32m" in in_terminal("show", run_folder, cwd=tmp_path)
    for args, env in ((["--no-color"], {}), ([], {"NO_COLOR": "1"})):
        assert "\x1b[32m" not in in_terminal("show", run_folder, *args, cwd=tmp_path, env=env)
        assert "\x1b[3" not in in_terminal("show", "nowhere", *args, cwd=tmp_path, env=env)
    assert "\x1b" not in run_cli("show", run_folder).stdout
    # The option may stand before the command, too.
    assert "\x1b[32m" not in in_terminal("--no-color", "show", run_folder, cwd=tmp_path)


def test_an_old_key_is_named_in_a_notice(tmp_path):
    spec = write_spec(tmp_path, tmp_path / "none.csv", extra="serve: {together: 4}\n")
    told = run_cli("history", spec)
    assert told.returncode == 0
    assert told.stderr.splitlines()[0].startswith(
        "Notice: product.yaml, line 7: `serve.together` is now called `serve.max_batch_size`."
    )


def test_chinese_on_the_line_and_by_variable(run_folder, tmp_path):
    for args, env in (
        (["--lang", "zh"], {}),
        ([], {"RUNG_LANG": "zh"}),
        ([], {"RUNG_LANG": "", "LC_ALL": "zh_CN.UTF-8"}),
    ):
        shown = run_cli("show", run_folder, *args, env=env)
        assert "达标" in shown.stdout and "置信水平 95%" in shown.stdout and "报告" in shown.stdout
    wrong = run_cli("show", run_folder, "--lang", "fr")
    assert wrong.returncode == 2 and "there are no messages in 'fr'" in wrong.stderr
    page = tmp_path / "report.zh.html"
    assert run_cli("show", run_folder, "--lang", "zh", "--html", page).returncode == 0
    assert '<html lang="zh-CN">' in page.read_text(encoding="utf-8")


def test_watching_a_build_that_runs_elsewhere(news_csv, tmp_path):
    write_spec(tmp_path, news_csv)
    build = subprocess.Popen(
        [sys.executable, "-m", "rung.cli", "build", "--json"], cwd=tmp_path, stdout=subprocess.DEVNULL
    )
    wait_until(lambda: list(tmp_path.glob("runs/*/events.jsonl")), "the build has begun")
    watched = run_cli("show", "--watch", cwd=tmp_path)
    assert build.wait(timeout=LONG) == 0
    assert watched.returncode == 0, watched.stderr
    assert "Following" in watched.stderr and "tfidf_linear: certified" in watched.stderr
    assert "Cleared." in watched.stdout and "\x1b" not in watched.stderr


def test_there_is_nothing_to_watch(tmp_path):
    done = run_cli("show", "--watch", cwd=tmp_path)
    assert done.returncode == 2 and "there is no run here to watch" in done.stderr


def test_a_terminal_shows_a_download_and_a_pipe_does_not(news_csv, tmp_path):
    (tmp_path / "news.csv").write_bytes(news_csv.read_bytes())
    handler = functools.partial(_Quiet, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/news.csv"
        shown = in_terminal(
            "plan", address, "-o", "one.yaml", cwd=tmp_path, env={"RUNG_CACHE": str(tmp_path / "one")}
        )
        piped = run_cli(
            "plan", address, "-o", "two.yaml", cwd=tmp_path, env={"RUNG_CACHE": str(tmp_path / "two")}
        )
        server.shutdown()
    assert "downloading http://127.0.0.1" in shown and "MB" in shown
    assert piped.returncode == 0 and "downloading" not in piped.stderr + piped.stdout


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def test_time_left_is_the_plan_at_first_and_learns_from_what_finished():
    left = RemainingTime()
    assert left.seconds(99.0) == 0.0
    left.plan({"a": 1.0, "b": 1.0, "c": 1.0, "d": 1.0}, at=100.0)
    left.skip("d")
    assert left.seconds(100.0) == pytest.approx(15.0) and left.seconds(102.0) == pytest.approx(13.0)
    # Twice as long as planned: the plan still counts for half, as its five seconds.
    left.finish("a", at=110.0)
    assert left.seconds(110.0) == pytest.approx(15.0) and left.seconds(114.0) == pytest.approx(11.0)
    # What a rung outruns is not taken from the others.
    assert left.seconds(200.0) == pytest.approx(7.5)
    left.finish("b", at=120.0)
    assert left.seconds(120.0) == pytest.approx(5 * 25 / 15)
    left.finish("c", at=125.0)
    assert left.seconds(125.0) == 0.0


def test_a_terminal_shows_the_time_left_while_it_builds(news_csv, tmp_path):
    """That it starts with the plan, the test above shows; when a terminal draws a line is up to it."""
    write_spec(tmp_path, news_csv)
    shown = in_terminal("build", cwd=tmp_path)
    assert "at most" in shown[: shown.index("tfidf_linear: accuracy")]
