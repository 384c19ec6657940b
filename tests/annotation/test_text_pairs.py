"""Pairs of texts: nobody sees whose is whose, every look at the win rate is safe, and a judge counts only beside people."""

import json

import numpy as np
import pytest

from llm_server import completion, llm_server
from rung.annotation.text_pairs import (
    ALPHA,
    EQUAL,
    FIRST,
    SECOND,
    PairFile,
    judge_agreement,
    make_pairs,
    win_rate,
)
from rung.core.errors import DataError
from rung.data.labels.store import LABEL
from rung.workflows.compare import LEAST_JUDGED, ask_judge, open_pair_session, results
from support import run_cli

N = 40


def file_of(n=N, seed=0, same=()):
    prompts = [f"prompt {i}" for i in range(n)]
    other = [f"text {i}" if i in same else f"longer text {i}" for i in range(n)]
    return PairFile(("short 1", "long 1"), make_pairs(prompts, [f"text {i}" for i in range(n)], other, seed))


def better(pair, model):
    """The choice of somebody who prefers a model."""
    return FIRST if pair.winner(FIRST) == model else SECOND


def test_sides_are_drawn_and_equal_prompts_stand_once():
    pairs = file_of(200).pairs
    assert 60 < sum(pair.swapped for pair in pairs) < 140 and [p.prompt for p in pairs] != sorted(
        p.prompt for p in pairs
    )
    assert all(pair.shown[1 - pair.swapped] == pair.other for pair in pairs)
    assert all(pair.winner(better(pair, 1)) == 1 and pair.winner(EQUAL) == -1 for pair in pairs)
    assert len(make_pairs(["a", "a", "b"], ["1"] * 3, ["2"] * 3, 0)) == 2
    assert file_of(200).pairs == pairs


def test_what_is_not_judged_is_not_won():
    pairs = file_of(same={0, 1})
    asked = [pair for pair in pairs.pairs if pair.one != pair.other]
    said = {pair.key: better(pair, 1) for pair in asked[:20]}
    found = win_rate(pairs, said)
    assert found.wins == (0, 20) and found.equal == 2 and found.open == N - 22 and found.lower[0] == 0.0
    whole = win_rate(pairs, {pair.key: better(pair, 1) for pair in asked})
    assert found.lower[1] < whole.lower[1] < 38 / N and whole.lower[1] > 0.8


def test_the_bound_holds_whoever_stops_when_they_like_it():
    """Prompts drawn with a share of 0.6 that the second model wins: somebody who looks after each choice and keeps the best bound is
    above the truth no more often than ALPHA says."""
    rng, truth, wrong, times = np.random.default_rng(0), 0.6, 0, 300
    pairs = file_of(60)
    for _ in range(times):
        wins = rng.random(60) < truth
        highest = 0.0
        said = {}
        for place, (pair, won) in enumerate(zip(pairs.pairs, wins, strict=True)):
            said[pair.key] = better(pair, int(won))
            if place % 6 == 5:
                highest = max(highest, win_rate(pairs, said).lower[1])
        wrong += highest > truth
    assert wrong / times <= ALPHA + 3 * (ALPHA * (1 - ALPHA) / times) ** 0.5


def choose(folder, model, count, by="ana"):
    with open_pair_session(folder, "en") as session:
        pairs = {pair.key: pair for pair in PairFile.load(folder).pairs}
        for _ in range(count):
            query = session.next(by)
            assert query.suggestion is None and set(query.row.cells) == {"prompt", FIRST, SECOND}
            session.record_answer(by, query.row.text, LABEL, better(pairs[query.row.text], model))
        return session.progress(by)


def test_people_choose_one_after_the_other(tmp_path):
    file_of().save(tmp_path)
    progress = choose(tmp_path, 1, N - 3)
    assert progress.audit.wanted == N and progress.audit.done == N - 3 and not progress.disagreements
    people, model, agreement, name = results(tmp_path)
    assert people.wins == (0, N - 3) and people.open == 3 and model is None and agreement is None and not name
    shown = run_cli("compare", "show", tmp_path)
    assert shown.returncode == 0 and "long 1: preferred on 37 (92.5 %)" in shown.stdout.replace(
        "92.5%", "92.5 %"
    ), shown.stdout
    assert json.loads(run_cli("compare", "show", tmp_path, "--json").stdout)["people"]["wins"] == [0, N - 3]


def test_a_judge_is_asked_in_both_orders_and_shown_beside_people_alone(tmp_path):
    file_of().save(tmp_path)

    def likes_long(body, number):
        first = body["messages"][-1]["content"].split("Text 1: <text>")[1]
        return completion(json.dumps({"better": "1" if first.startswith("longer") else "2"}))

    with llm_server(likes_long) as server:
        assert ask_judge(tmp_path, server.base, "judge-1") == N
        assert len(server.seen) >= 2 * N
    choose(tmp_path, 1, LEAST_JUDGED - 1)
    people, model, agreement, name = results(tmp_path)
    assert model is None and agreement.pairs == LEAST_JUDGED - 1 and name == "judge-1"
    assert "without its agreement" in run_cli("compare", "show", tmp_path).stdout
    choose(tmp_path, 0, 5)
    _, model, agreement, _ = results(tmp_path)
    assert (
        model.wins == (0, N) and agreement.pairs == LEAST_JUDGED + 4 and agreement.agree == LEAST_JUDGED - 1
    )
    assert agreement.lower < agreement.agree / agreement.pairs

    with llm_server(lambda body, number: completion('{"better": "1"}')) as server:
        ask_judge(tmp_path, server.base, "first-always")
    assert results(tmp_path)[1].wins == (0, 0)  # It told the place, not the text.


def test_nothing_to_choose_and_nothing_there_are_said(tmp_path):
    with pytest.raises(DataError, match="no pairs of texts"):
        results(tmp_path)
    file_of(3, same={0, 1, 2}).save(tmp_path)
    with pytest.raises(DataError, match="nothing to choose"), open_pair_session(tmp_path, "en"):
        pass
    assert judge_agreement({}, {"a": FIRST}) is None
