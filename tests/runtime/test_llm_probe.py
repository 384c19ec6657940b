"""A server is probed for what it does, whatever it promises; the packaged model answers without a key."""

import json

import pytest

from llm_server import completion, llm_server, tokens_of
from rung.core.errors import RungError
from rung.runtime.llm.client import LlmClient, Request
from rung.runtime.llm.endpoint import endpoint
from rung.runtime.llm.local_server import LocalServer, LocalServerSettings
from rung.runtime.llm.pricing import TokenPrice, token_price
from rung.runtime.llm.probe import probe, stored_probe
from support import run_cli


def honest(body, number):
    """Enforces schemas, gives log-probabilities, counts tokens, repeats itself, streams."""
    if body.get("stream"):
        return ("events", {"usage": {"prompt_tokens": 5, "completion_tokens": 2}}, ["1, ", "2"])
    said = '{"code": "vwk-52"}' if "response_format" in body else "hello"
    more = {"logprobs": tokens_of(said, {0: {"h": -0.1}})} if body.get("logprobs") else {}
    return completion(said, usage=(len(body["messages"][0]["content"]), 2), **more)


def promising(body, number):
    """Answers 200 to everything and does nothing of it."""
    if body.get("stream"):
        return completion("not a stream")
    return completion(f"Hello Anna {number}", usage=(0, 0), model="another-2")


def refusing(body, number):
    if set(body) & {"response_format", "logprobs", "stream"}:
        return (400, {}, {"error": {"message": "unknown parameter"}})
    return completion("hello", usage=(len(body["messages"][0]["content"]), 2))


@pytest.mark.parametrize(
    "reply,verdicts",
    [
        (honest, ["yes", "yes", "yes", "yes", "yes"]),
        (promising, ["no", "no", "no", "varies", "refused"]),
        (refusing, ["yes", "refused", "refused", "yes", "refused"]),
    ],
)
def test_what_a_server_does_is_found_stored_and_used(reply, verdicts):
    with llm_server(reply) as server:
        at = endpoint(server.base, "test-1")
        assert stored_probe(at) is None
        found = probe(LlmClient(at, TokenPrice(1.0, 1.0)))
    assert [finding.verdict for finding in found.findings] == verdicts
    assert found.usd > 0 and found.answered_as == ("another-2" if reply is promising else "test-1")
    found.save()
    assert stored_probe(at) == found
    assert found.abilities.logprobs == (reply is honest) and found.abilities.schema == (reply is not refusing)


def test_the_command_shows_and_stores_it():
    with llm_server(honest) as server:
        done = run_cli("llm", "probe", server.base, "test-1")
        assert done.returncode == 0, done.stderr
        assert "json_schema   yes" in done.stdout and "asking cost 0.000000 USD" in done.stdout
        assert stored_probe(endpoint(server.base, "test-1")) is not None
    done = run_cli("llm", "probe", "https://nobody.example/v1", "m", "--json")
    assert done.returncode == 2 and "RUNG_LLM_HOSTS" in json.loads(done.stdout)["error"]["fix"]


def test_the_packaged_model_answers_within_a_schema(smollm2):
    pytest.importorskip("xllamacpp")
    server = LocalServer(LocalServerSettings(port=0))
    at = endpoint(server.base, server.model)
    client = LlmClient(at, token_price(at))
    schema = {
        "type": "object",
        "properties": {"label": {"enum": ["sport", "kitchen"]}},
        "required": ["label"],
    }
    asked = Request(
        ({"role": "user", "content": "Bake the bread. Sport or kitchen?"},),
        max_tokens=20,
        schema=schema,
        top_logprobs=5,
    )
    answer = client.ask(asked)
    assert answer.value["label"] in {"sport", "kitchen"} and answer.model == "smollm2" and answer.usd == 0
    assert answer.tokens_in > 5 and answer.tokens and not answer.is_usage_estimated
    long = Request(({"role": "user", "content": "word " * 5000},), max_tokens=4)
    with pytest.raises(RungError, match="too long for the model"):
        client.ask(long)
    assert "".join(client.stream(Request(({"role": "user", "content": "Count to three."},), max_tokens=8)))
    with pytest.raises(RungError, match="is taken"):
        LocalServer(LocalServerSettings(port=int(server.base.split(":")[2].split("/")[0])))


def test_without_weights_the_command_that_fetches_them_is_named():
    pytest.importorskip("xllamacpp")
    done = run_cli("llm", "serve", "--port", "0")
    assert done.returncode == 2 and "rung weights fetch smollm2" in done.stderr
