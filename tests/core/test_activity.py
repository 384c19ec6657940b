"""Nothing is silent for long: a heartbeat tells what goes on, unless something else was told."""

import threading

from rung.cli.progress import Progress, activity_text
from rung.core.activity import Heartbeat, current, doing, note
from rung.core.run import open_run
from waiting import wait_until


def test_the_innermost_activity_is_told_and_the_outer_one_comes_back():
    with doing("encode", 10):
        note(4)
        with doing("check", name="leaks"):
            assert current() == {"what": "check", "done": 0, "total": 0, "name": "leaks"}
        assert current() == {"what": "encode", "done": 4, "total": 10, "name": ""}
    assert current()["what"] == ""


def test_a_heartbeat_tells_what_goes_on_for_as_long_as_nothing_else_does():
    told = []
    with doing("encode", 10), Heartbeat(told.append, every=0.01):
        wait_until(lambda: len(told) >= 3, "it beats")
    assert all(one["what"] == "encode" and one["total"] == 10 for one in told)
    assert [one["seconds"] for one in told] == sorted(one["seconds"] for one in told)
    count = threading.active_count()
    with Heartbeat(told.append, every=60.0):
        assert threading.active_count() == count + 1
    assert threading.active_count() == count


def test_a_run_that_is_being_built_says_what_it_does(tmp_path, monkeypatch):
    monkeypatch.setattr("rung.core.run.Heartbeat", lambda tell: Heartbeat(tell, every=0.01))
    events = []
    run = open_run(tmp_path / "run", "name", "print", "{}", lambda kind, facts: events.append((kind, facts)))
    with run.building(), doing("check", name="leaks"):
        wait_until(lambda: events, "it beats")
    kind, facts = events[0]
    assert kind == "working" and facts["what"] == "check" and facts["name"] == "leaks"
    assert '"event": "working"' in (tmp_path / "run" / "events.jsonl").read_text()


def test_what_goes_on_is_said_in_both_languages():
    facts = {"what": "encode", "done": 1200, "total": 3000, "name": "", "seconds": 12.4}
    assert activity_text(facts, "en") == "encoding texts 1,200/3,000, for 12 s"
    assert activity_text(facts, "zh") == "正在编码文本 1,200/3,000，已持续 12 秒"
    assert activity_text(facts | {"what": "", "total": 0}, "en") == "working, for 12 s"


def test_piped_progress_says_it_further_and_further_apart(capsys):
    facts = {"what": "measure", "done": 0, "total": 0, "name": ""}
    with Progress("en") as progress:
        for seconds in (4.0, 8.0, 12.0, 16.0, 20.0):
            progress("working", {**facts, "seconds": seconds})
        progress("step", {"name": "trials/x", "state": "done", "seconds": 21.0})
        progress("working", {**facts, "seconds": 4.0})
    lines = capsys.readouterr().err.splitlines()
    assert [line.rsplit("for ", 1)[1] for line in lines] == ["4 s", "8 s", "16 s", "4 s"]
    assert all("measuring the packed model" in line for line in lines)
