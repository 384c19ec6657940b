"""Requests that wait are answered together where that is cheaper, and nobody gets another's answer, error or wait."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from rung.serving.batching import BatchSizer
from server_process import URL
from waiting import LONG, wait_until

TEXTS = ["The striker scored twice", "Shares fell after the bank's results", "A new phone for the web",
         "The minister spoke in parliament", "The film won an award", "The coach of the team"]  # fmt: skip


def learned(batching, cost, waiting=32, turns=400):
    """Let it choose so often; return how often each size was taken at the end."""
    sizes = []
    for _ in range(turns):
        size = batching.size(waiting)
        batching.record(size, cost(size))
        sizes.append(size)
    last = sizes[turns // 2 :]
    return {size: last.count(size) / len(last) for size in set(last)}


def test_it_learns_what_pays():
    assert learned(BatchSizer(8), lambda size: 1.0 / size)[8] > 0.9
    assert learned(BatchSizer(8), lambda size: 1.0 + 0.1 * size)[1] > 0.9
    assert learned(BatchSizer(8), lambda size: abs(size - 4) + 1.0)[4] > 0.9
    assert max(learned(BatchSizer(8), lambda size: 1.0 / size, waiting=3)) == 2, "no more than wait"


def test_it_learns_anew():
    batching = BatchSizer(4)
    assert learned(batching, lambda size: 1.0 / size)[4] > 0.9
    assert learned(batching, float, turns=4_000)[1] > 0.9


def test_it_can_be_switched_off():
    assert learned(BatchSizer(1), lambda size: 1.0 / size) == {1: 1.0}
    assert BatchSizer(8).size(1) == 1


@pytest.fixture
def held(desk, monkeypatch):
    """Hold whoever predicts until told to go; remember how many rows the model was asked at a time."""
    go, begun, asked = threading.Event(), threading.Event(), []
    true_respond = desk.respond

    def respond(rows, *args, **kwargs):
        asked.append(len(rows))
        begun.set()
        go.wait(LONG)
        if len(asked) > 1 and any("poison" in row["text"] for row in rows):
            raise RuntimeError("the model stumbles")
        return true_respond(rows, *args, **kwargs)

    monkeypatch.setattr(desk, "respond", respond)
    return go, begun, asked


def ask_at_once(server, held, bodies, path=URL):
    """Return the replies to bodies that all wait behind one that is being answered."""
    go, begun, _ = held
    with ThreadPoolExecutor(len(bodies) + 1) as pool:
        first = pool.submit(server.client.post, URL, json={"inputs": {"text": "first"}})
        assert begun.wait(LONG)
        replies = [pool.submit(server.client.post, path, json=body) for body in bodies]
        asking = "rung_requests_at_work"

        def at_work():
            return float(server.service.metrics.text().split(f"\n{asking} ")[1].split("\n")[0])

        wait_until(lambda: at_work() == len(bodies) + 1, at_work)
        go.set()
        assert first.result(LONG).status_code == 200
        return [reply.result(LONG) for reply in replies]


def test_everyone_gets_their_own_answer(opened, desk, held):
    go, begun, asked = held
    go.set()
    alone = {text: next(iter(desk.respond([{"text": text}], True))) for text in TEXTS}
    go.clear(), begun.clear(), asked.clear()
    bodies = [{"inputs": {"text": text}, "subject": text[:5]} for text in TEXTS]
    bodies += [{"inputs": {"text": TEXTS[0]}, "scores": True}, {"inputs": [{"text": t} for t in TEXTS[:3]]}, {"wrong": 1},
               {"inputs": {"text": " "}}, {"inputs": {"text": TEXTS[1]}, "explain": True}]  # fmt: skip
    with opened(keys=False, threads=1, inputs="plain") as server:
        replies = ask_at_once(server, held, bodies)
        assert [reply.status_code for reply in replies] == [200] * 8 + [422, 200, 200]
        for text, reply in zip(TEXTS, replies, strict=False):
            (answer,) = reply.json()["predictions"]
            assert answer["label"] == alone[text]["label"]
            assert answer["probability"] == pytest.approx(alone[text]["probability"], abs=1e-5)
            kept = server.client.get(f"/v1/predictions/{answer['id']}").json()
            assert kept["input"] == {"text": text} and kept["output"]["label"] == answer["label"]
            assert kept["request_id"] == reply.headers["x-request-id"]
        assert "score:sports" in replies[6].json()["predictions"][0]
        assert "score:sports" not in replies[0].json()["predictions"][0]
        assert [a["label"] for a in replies[7].json()["predictions"]] == [
            alone[t]["label"] for t in TEXTS[:3]
        ]
        assert (
            "error" in replies[9].json()["predictions"][0] and replies[10].json()["predictions"][0]["reasons"]
        )
        assert max(asked) > 1 and sum(asked) == 1 + 6 + 1 + 3 + 1 + 1, "several at a time, each row once"


def test_one_that_breaks_the_model_breaks_alone(opened, held):
    bodies = [{"inputs": {"text": text}} for text in [*TEXTS, "poison"]]
    with opened(keys=False, threads=1, max_batch_size=32) as server:
        replies = ask_at_once(server, held, bodies)
        assert [reply.status_code for reply in replies] == [200] * 6 + [500]
        assert server.client.post(URL, json=bodies[0]).status_code == 200


def test_none_together_where_that_is_switched_off(opened, held):
    with opened(keys=False, threads=1, max_batch_size=1) as server:
        ask_at_once(server, held, [{"inputs": {"text": text}} for text in TEXTS])
        assert held[2] == [1] * 7
