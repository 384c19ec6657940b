"""What a plan says of the time a build takes, on this machine."""

import json
from dataclasses import replace

import pytest

from rung.building.build_time import build_time
from rung.core import machine_speed
from rung.core.model import Cost, DataFacts, NoParams, Rung
from rung.pages.plan import render_plan
from support import run_cli, write_csv


def ladder():
    cheap = Rung("cheap", "cheap", NoParams(), Cost(10.0, 4.0, 1.0, 1.0), 0.1, fits=4)
    # Of 100 seconds 80 are not spent again.
    dear = Rung("dear", "dear", NoParams(), Cost(100.0, 40.0, 1.0, 1.0, cached_seconds=80.0), 0.2, fits=4)
    return (cheap, dear)


def test_all_fits_packing_measuring_and_the_curve_are_counted():
    facts = DataFacts(1_000, 2, 400.0)
    found = build_time(ladder(), facts, {"dear": True}, 1.0)
    assert found.data == pytest.approx(1.0 + 0.2 + 1.0)
    assert found.rungs == pytest.approx({"cheap": 40 + 2 + 1, "dear": 100 + 3 * 20 + 2 + 10})
    assert found.whole == pytest.approx(2.2 + 43 + 172 + 0.9 * 20)
    assert found.first_rung == "dear" and found.first == pytest.approx(found.whole)
    sooner = build_time(ladder(), facts, {"cheap": True, "dear": True}, 1.0)
    assert sooner.first_rung == "cheap" and sooner.first == pytest.approx(2.2 + 43 + 9)
    assert build_time(ladder(), facts, {}, 1.0).first is None
    # Another rung over the same encoder finds its embeddings kept.
    third = build_time((*ladder(), replace(ladder()[1], name="third")), facts, {}, 1.0)
    assert third.rungs["third"] == pytest.approx(found.rungs["dear"] - 80)
    twice = build_time(ladder(), facts, {"cheap": True}, 2.0)
    assert twice.whole == pytest.approx(2 * found.whole) and twice.first == pytest.approx(2 * sooner.first)


def test_the_machine_is_compared_with_the_reference_by_the_fastest_repeat(monkeypatch):
    ticks = iter([0.0, 5.0, 10.0, 10.0 + 2 * machine_speed._REFERENCE_SECONDS, 20.0, 24.0])
    monkeypatch.setattr(machine_speed, "_REPEATS", 3)
    monkeypatch.setattr(machine_speed.time, "perf_counter", lambda: next(ticks))
    assert machine_speed.relative_seconds() == pytest.approx(2.0)


@pytest.mark.parametrize("lang,words", [("en", "The whole ladder takes about"), ("zh", "走完整个阶梯约需")])
def test_plan_says_it_in_terminal_page_and_json(tmp_path, lang, words):
    rows = [(f"the {('cash prize', 'budget meeting')[i % 2]} number {i}", "ab"[i % 2]) for i in range(200)]
    write_csv(tmp_path / "rows.csv", ["text", "label"], rows)
    shown = run_cli("plan", "rows.csv", "--lang", lang, cwd=tmp_path)
    assert shown.returncode == 0 and words in shown.stdout
    found = json.loads((tmp_path / "plan.json").read_text(encoding="utf-8"))
    each = [one["seconds"] for one in found["ladder"]]
    assert found["time"]["whole_seconds"] >= sum(each) - len(each) and found["time"]["relative"] > 0
    assert found["time"]["first_rung"] in [one["rung"] for one in found["ladder"]]
    assert words in (tmp_path / "plan.html").read_text(encoding="utf-8")
    # A plan of an earlier version has no times.
    del found["time"]
    assert words not in render_plan(found, lang)
