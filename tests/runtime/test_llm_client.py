"""The client of language models against a loopback server that misbehaves on purpose."""

import json
import time

import pytest

from llm_server import completion, llm_server, replies
from rung.runtime.llm.client import Abilities, LlmClient, Request
from rung.runtime.llm.endpoint import endpoint
from rung.runtime.llm.errors import CutOff, InvalidAnswer, LlmError, LlmRefusal
from rung.runtime.llm.pricing import TokenPrice, token_price
from rung.runtime.llm.structured import check_schema
from rung.runtime.llm.transport import Traffic
from rung.runtime.service.ledger import BudgetSpentError, Ledger
from rung.runtime.service.response_cache import ResponseCache
from rung.runtime.service.settings import ServiceSettings, count_service_calls

HELLO = Request(({"role": "user", "content": "hello"},), max_tokens=10)
SCHEMA = {"type": "object", "properties": {"label": {"enum": ["a", "b"]}}, "required": ["label"]}
LABEL = Request(({"role": "user", "content": "which?"},), max_tokens=10, schema=SCHEMA)
PRICE = TokenPrice(1.0, 10.0)


def client_of(server, **more):
    traffic = Traffic(**{"wait_s": 0.01, "timeout_s": 5.0, **more.pop("traffic", {})})
    return LlmClient(endpoint(server.base, "test-1"), more.pop("price", PRICE), traffic, **more)


def services(tmp_path, limit=1.0):
    return ServiceSettings(
        ResponseCache(tmp_path / "cache.jsonl"), Ledger(tmp_path / "spent.json", limit, "test")
    )


def test_an_answer_has_its_text_tokens_price_and_model():
    with llm_server(replies(completion("hi", usage=(1000, 100)))) as server:
        answer = client_of(server).ask(HELLO)
    assert (answer.text, answer.model, answer.tokens_in, answer.tokens_out) == ("hi", "test-1", 1000, 100)
    assert answer.usd == pytest.approx(0.002) and not answer.is_usage_estimated and not answer.is_cached
    path, body, _ = server.seen[0]
    assert path == "/v1/chat/completions" and body["messages"] == [{"role": "user", "content": "hello"}]


def test_a_prompt_is_completed():
    reply = {
        "model": "test-1",
        "choices": [{"text": " Paris"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1},
    }
    with llm_server(replies(reply)) as server:
        assert client_of(server).ask(Request(prompt="The capital is", max_tokens=2)).text == " Paris"
    assert server.seen[0][0] == "/v1/completions" and server.seen[0][1]["prompt"] == "The capital is"


@pytest.mark.parametrize(
    "bad",
    [(429, {"Retry-After": "0"}, b"slow down"), (500, {}, b"oops"), (503, {}, b""), ("hang up", {}, b"")],
    ids=["429", "500", "503", "hang up"],
)
def test_what_may_pass_is_tried_again_with_the_same_key(bad):
    with llm_server(replies(bad, bad, completion("hi"))) as server:
        answer = client_of(server).ask(HELLO)
    assert answer.text == "hi" and answer.tries == 3 and len(server.seen) == 3
    assert len({headers["Idempotency-Key"] for _, _, headers in server.seen}) == 1


def test_a_reply_that_breaks_off_is_asked_for_again():
    with llm_server(replies((200, {"cut": True}, completion("hi")), completion("hi"))) as server:
        assert client_of(server).ask(HELLO).text == "hi"
    assert len(server.seen) == 2


def test_a_server_that_asks_to_wait_is_waited_for():
    with llm_server(replies((429, {"Retry-After": "0.3"}, b""), completion("hi"))) as server:
        begun = time.perf_counter()
        client_of(server).ask(HELLO)
    assert time.perf_counter() - begun >= 0.3


@pytest.mark.parametrize(
    "reply,said",
    [
        ((401, {}, {"error": {"message": "bad key"}}), "the key was refused (401: bad key)"),
        ((402, {}, b"{}"), "no money left"),
        ((429, {}, {"error": {"message": "no", "code": "insufficient_quota"}}), "no money left"),
        ((404, {}, {"error": {"message": "model not found"}}), "there is no model 'test-1'"),
        ((400, {}, {"error": {"message": "exceeds the available context size"}}), "too long for the model"),
        ((418, {}, b"teapot"), "the server answered 418 (418: teapot)"),
        ((302, {"Location": "http://elsewhere/"}, b""), "the server answered 302"),
        ((200, {}, b"<html>"), "the reply is not JSON"),
        ((200, {}, {"choices": []}), "the reply is not a completion"),
        ((200, {}, {"choices": [{"message": {"content": None}}]}), "the answer holds no text"),
    ],
)
def test_what_cannot_pass_is_said_once_in_words(reply, said):
    with llm_server(replies(reply)) as server, pytest.raises(LlmError) as caught:
        client_of(server).ask(HELLO)
    assert said in str(caught.value) and len(server.seen) == 1


def test_a_refusal_is_an_error_of_its_own_and_is_paid_for(tmp_path):
    refused = {"model": "m", "choices": [{"message": {"content": None, "refusal": "I cannot"}}], "usage": {"prompt_tokens": 10, "completion_tokens": 1}}  # fmt: skip
    kept = services(tmp_path)
    with llm_server(replies(refused)) as server, pytest.raises(LlmRefusal, match="refused: I cannot"):
        client_of(server, services=kept).ask(HELLO)
    assert kept.ledger.total().usd == pytest.approx(20e-6)


def test_a_server_that_drips_or_is_silent_ends_at_the_time_out():
    with llm_server(replies(("drip", {}, b""))) as server:
        begun = time.perf_counter()
        with pytest.raises(LlmError, match=r"no whole answer within 0\.3 s"):
            client_of(server, traffic={"timeout_s": 0.3}).ask(HELLO)
        assert time.perf_counter() - begun < 2

    def silent(body, number):
        time.sleep(0.5)
        return completion("late")

    with llm_server(silent) as server, pytest.raises(LlmError, match="no answer in time"):
        client_of(server, traffic={"timeout_s": 0.1, "tries": 2}).ask(HELLO)
    assert len(server.seen) == 2


def test_nobody_at_the_address_names_the_command_that_starts_a_server():
    nobody = LlmClient(endpoint("http://127.0.0.1:9/v1", "m"), PRICE, Traffic(tries=2, wait_s=0.01))
    with pytest.raises(LlmError, match="rung llm serve"):
        nobody.ask(HELLO)


@pytest.mark.parametrize("usage", [None, (0, 0), (10**8, 3), (-5, 3), ("many", 3)], ids=str)
def test_wrong_token_counts_are_estimated_and_said(usage):
    with llm_server(replies(completion("a fine day", usage=usage))) as server:
        answer = client_of(server).ask(HELLO)
    # What a server claims beyond what is possible is what it will charge: it is counted, and marked.
    assert answer.is_usage_estimated and answer.tokens_in >= 1 and answer.tokens_out >= 1


def test_a_structured_answer_is_validated_whatever_the_server_promised():
    with llm_server(replies(completion('```json\n{"label": "a"}\n```'))) as server:
        assert client_of(server).ask(LABEL).value == {"label": "a"}
        assert server.seen[0][1]["response_format"]["json_schema"]["strict"] is True
    with llm_server(replies(completion('{"label": "z"}'), completion('Sure: {"label": "b"}'))) as server:
        answer = client_of(server).ask(LABEL)
        assert answer.value == {"label": "b"} and answer.tries == 2
        assert answer.usd == pytest.approx(2 * (20 + 30) / 1e6)
        assert "does not follow the schema" in server.seen[1][1]["messages"][-1]["content"]
    for text in ('{"label": "a', "label a", '{"label": ["a"]}', '["a"]', ""):
        with llm_server(replies(completion(text))) as server, pytest.raises(InvalidAnswer) as caught:
            client_of(server).ask(LABEL)
        assert caught.value.usd > 0 and len(server.seen) == 2


def test_without_schemas_on_the_server_the_schema_stands_in_the_prompt():
    with llm_server(replies(completion('{"label": "a"}'))) as server:
        assert client_of(server, abilities=Abilities(schema=False)).ask(LABEL).value == {"label": "a"}
    assert (
        "response_format" not in server.seen[0][1] and '"enum"' in server.seen[0][1]["messages"][0]["content"]
    )


@pytest.mark.parametrize("key", ["pattern", "anyOf", "$ref", "oneOf", "format", "minimum"])
def test_schema_keywords_outside_the_tested_subset_are_refused(key):
    with pytest.raises(Exception, match=f"'{key.replace('$', '.')}' is not enforced"):
        check_schema({"type": "object", "properties": {"x": {"type": "array", "items": {key: "y"}}}})


def test_an_answer_streams_and_is_counted(tmp_path):
    kept = services(tmp_path)
    reply = ("events", {"usage": {"prompt_tokens": 8, "completion_tokens": 2}}, ["Hel", "lo"])
    with llm_server(replies((503, {}, b""), reply)) as server:
        stream = client_of(server, services=kept).stream(HELLO)
        pieces = []
        while True:
            try:
                pieces.append(next(stream))
            except StopIteration as end:
                answer = end.value
                break
    assert (
        pieces == ["Hel", "lo"] and answer.text == "Hello" and (answer.tokens_in, answer.tokens_out) == (8, 2)
    )
    assert kept.ledger.total().usd == pytest.approx(28e-6)


def test_a_stream_that_breaks_off_says_what_had_come():
    with llm_server(replies(("events", {"done": False}, ["Hel"]))) as server, pytest.raises(CutOff) as caught:
        list(client_of(server).stream(HELLO))
    assert caught.value.text == "Hel"


def test_the_same_request_is_paid_for_once(tmp_path):
    kept = services(tmp_path)
    with llm_server(replies(completion("hi"))) as server:
        first = client_of(server, services=kept).ask(HELLO)
        again = client_of(server, services=services(tmp_path)).ask(HELLO)
    assert len(server.seen) == 1 and again.is_cached and again.usd == 0 and again.text == first.text
    assert again.list_usd == pytest.approx(first.usd) and kept.ledger.total().calls == 1


def test_a_killed_batch_goes_on_without_paying_a_row_twice(tmp_path):
    requests = [Request(({"role": "user", "content": f"row {i}"},), max_tokens=5) for i in range(100)]
    steps = []

    def slow(body, number):
        time.sleep(0.01)
        return completion("ok")

    with llm_server(slow) as server:
        client = client_of(server, services=services(tmp_path), traffic={"concurrency": 2})
        batch = client.ask_many(requests, lambda done, total: steps.append((done, total)))
        for _ in range(10):
            next(batch)
        batch.close()
        asked = len(server.seen)
        client = client_of(server, services=services(tmp_path))
        assert [each.text for each in client.ask_many(requests)] == ["ok"] * 100
        assert len(server.seen) == 100 > asked >= 10 and steps[-1] == (9, 100)
        assert len({body["messages"][0]["content"] for _, body, _ in server.seen}) == 100


def test_the_cap_stops_before_the_call_that_could_exceed_it(tmp_path):
    requests = [Request(({"role": "user", "content": f"row {i}"},), max_tokens=10) for i in range(20)]
    kept = services(tmp_path, limit=0.0012)
    with llm_server(replies(completion("ok", usage=(200, 10)))) as server:
        client = client_of(server, services=kept, traffic={"concurrency": 4})
        with pytest.raises(BudgetSpentError, match="is spent"):
            list(client.ask_many(requests))
    assert 0 < kept.ledger.total().usd <= 0.0012 and len(server.seen) == kept.ledger.total().calls < 20


def test_a_cap_of_zero_asks_nothing_that_costs(tmp_path):
    with llm_server(replies(completion("ok"))) as server:
        with pytest.raises(BudgetSpentError):
            client_of(server, services=services(tmp_path, 0.0)).ask(HELLO)
        assert not server.seen
        free = client_of(server, services=services(tmp_path, 0.0), price=TokenPrice(0.0, 0.0))
        assert free.ask(HELLO).text == "ok"


def test_a_fit_says_where_calls_are_kept(tmp_path):
    ledger = Ledger(tmp_path / "spent.json", 1.0, "rung")
    with llm_server(replies(completion("ok"))) as server:
        client = client_of(server)
        with count_service_calls(tmp_path / "calls.jsonl", ledger):
            assert [a.text for a in client.ask_many([HELLO, HELLO])] == ["ok"] * 2
        client.ask(HELLO)
    assert ledger.total().calls in {1, 2} and len(server.seen) == ledger.total().calls + 1


def test_calls_run_together_up_to_the_limit_and_no_faster_than_the_pace():
    def slow(body, number):
        time.sleep(0.05)
        return completion("ok")

    requests = [Request(({"role": "user", "content": str(i)},), max_tokens=5) for i in range(12)]
    with llm_server(slow) as server:
        list(client_of(server, traffic={"concurrency": 4}).ask_many(requests))
        assert 2 <= server.most <= 4
    with llm_server(replies(completion("ok"))) as server:
        begun = time.perf_counter()
        list(client_of(server, traffic={"per_minute": 1200}).ask_many(requests[:7]))
        assert time.perf_counter() - begun >= 6 * 0.05


def test_personal_data_never_leaves(tmp_path):
    def mask(texts):
        return [text.replace("13812345678", "<PHONE_1>") for text in texts]

    kept = services(tmp_path)
    with llm_server(replies(completion("ok"))) as server:
        client_of(server, mask=mask, services=kept).ask(
            Request(({"role": "user", "content": "call 13812345678"},))
        )
    assert server.seen[0][1]["messages"][0]["content"] == "call <PHONE_1>"
    assert "13812345678" not in json.dumps(server.seen[0][1]) + kept.cache.path.read_text()


def test_hosts_that_nobody_allowed_are_not_called(monkeypatch):
    for service, said in {
        "https://evil.example/v1": "calls to 'evil.example' are not allowed",
        "http://api.openai.com/v1": "without encryption",
        "https://me:secret@api.openai.com/v1": "holds a user or a password",
        "ftp://127.0.0.1/": "neither a known service nor an address",
        "opena": "neither a known service",
    }.items():
        with pytest.raises(LlmError, match=said):
            endpoint(service, "m")
    monkeypatch.setenv("RUNG_LLM_HOSTS", "gpu.internal:8000, evil.example")
    assert endpoint("http://gpu.internal:8000/v1", "m").host == "gpu.internal:8000"


def test_a_key_goes_to_its_own_host_alone(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    monkeypatch.setenv("RUNG_LLM_API_KEY", "own")
    monkeypatch.setenv("RUNG_LLM_HOSTS", "gpu.internal")
    monkeypatch.delenv("DEEPSEEK_API_KEY", raising=False)
    assert endpoint("openai", "m").headers() == {"Authorization": "Bearer sk-1"}
    assert endpoint("https://gpu.internal/v1", "m").headers() == {"Authorization": "Bearer own"}
    assert endpoint("http://127.0.0.1:9/v1", "m").headers() == {}, "a port that nobody listed gets no key"
    with pytest.raises(LlmError, match="there is no key for api.deepseek.com") as caught:
        endpoint("deepseek", "m").headers()
    assert "DEEPSEEK_API_KEY" in caught.value.fix and "sk-1" not in repr(endpoint("openai", "m"))


def test_an_unknown_price_is_refused_and_a_known_one_is_dated():
    with pytest.raises(LlmError, match="the price of the model 'gpt-9' is not known") as caught:
        token_price(endpoint("openai", "gpt-9"))
    assert "usd_in and usd_out" in caught.value.fix
    assert token_price(endpoint("openai", "gpt-5.4-mini")).date == "2026-04-30"
    assert token_price(endpoint("openai", "gpt-9"), 1.0, 2.0).usd(10**6, 10**6) == 3.0
    assert token_price(endpoint("local", "smollm2")).usd(10**6, 1) == 0.0
    with pytest.raises(LlmError, match="only one of usd_in and usd_out"):
        token_price(endpoint("openai", "gpt-9"), 1.0)


def test_a_model_that_will_retire_is_warned_of():
    import datetime as dt

    price = TokenPrice(1, 1, retires="2026-12-31")
    assert price.retirement_warning(dt.date(2026, 6, 1)) == ""
    assert "retires on 2026-12-31" in price.retirement_warning(dt.date(2026, 12, 1))
    assert "was retired" in price.retirement_warning(dt.date(2027, 1, 1))


def test_the_client_adds_less_than_a_millisecond():
    """Over a bare httpx call to the same server: the median of 60 each, in turn; the best of three, as cores are shared."""
    import httpx

    def added(client, bare, address):
        body = {"model": "test-1", "messages": [{"role": "user", "content": "hello"}]}
        own, theirs = [], []
        for _ in range(60):
            begun = time.perf_counter()
            bare.post(address, json=body).json()
            middle = time.perf_counter()
            client.ask(HELLO)
            own.append(time.perf_counter() - middle)
            theirs.append(middle - begun)
        return sorted(own)[30] - sorted(theirs)[30]

    with llm_server(replies(completion("ok"))) as server, httpx.Client(trust_env=False) as bare:
        client = client_of(server)
        assert min(added(client, bare, server.base + "/chat/completions") for _ in range(3)) < 0.001
