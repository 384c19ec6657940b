"""Answers of a language model as values, and how they are read from the JSON of a server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from rung.core.prices import tokens
from rung.runtime.llm.errors import LlmError, LlmRefusal


@dataclass(frozen=True)
class TokenChoice:
    """One token of an answer. logprob: natural logarithm. others: the likeliest tokens in its place, itself included."""

    text: str
    logprob: float
    others: Mapping[str, float]


@dataclass(frozen=True)
class Completion:
    """One answer. model: as the server names it. value: the validated JSON where a schema was given, else None.

    usd: what this call charged, 0.0 from the cache. list_usd: what it charges without a cache. tokens: of the answer
    with their probabilities, () where the server gave none. is_usage_estimated: the server did not count tokens.
    """

    text: str
    model: str
    tokens_in: int
    tokens_out: int
    seconds: float
    finish: str = "stop"
    value: Any = None
    usd: float = 0.0
    list_usd: float = 0.0
    tokens: tuple[TokenChoice, ...] = ()
    is_usage_estimated: bool = False
    is_cached: bool = False
    tries: int = 1

    def as_dict(self) -> dict[str, Any]:
        """Return it for the cache."""
        return {
            "text": self.text, "model": self.model, "tokens_in": self.tokens_in, "tokens_out": self.tokens_out,
            "finish": self.finish, "value": self.value, "is_usage_estimated": self.is_usage_estimated,
            "tokens": [[t.text, t.logprob, dict(t.others)] for t in self.tokens],
        }  # fmt: skip

    @staticmethod
    def from_dict(raw: Mapping[str, Any], list_usd: float) -> Completion:
        """Return what `as_dict` gave, as an answer of the cache."""
        chosen = tuple(TokenChoice(text, logprob, others) for text, logprob, others in raw["tokens"])
        return Completion(**{**raw, "tokens": chosen}, seconds=0.0, list_usd=list_usd, is_cached=True)


def prompt_text(body: Mapping[str, Any]) -> str:
    """Return everything of a request that is counted as its input."""
    if "prompt" in body:
        return str(body["prompt"])
    return "\n".join(str(message["content"]) for message in body["messages"])


def read_completion(reply: Any, body: Mapping[str, Any], seconds: float, where: str) -> Completion:
    """Return the answer in the reply to a request; raises LlmError for a reply of another shape, LlmRefusal."""
    try:
        choice = reply["choices"][0]
        message = choice.get("message") or {}
        text = choice["text"] if "text" in choice else message.get("content")
        finish = str(choice.get("finish_reason") or "stop")
    except (TypeError, KeyError, IndexError, AttributeError):
        fix = "The address must be that of an OpenAI-compatible server, usually ending in /v1."
        raise LlmError(f"the reply is not a completion: {str(reply)[:120]}", where, fix) from None
    if message.get("refusal") or finish == "content_filter":
        said = str(message.get("refusal") or "stopped by its content filter")
        raise LlmRefusal(
            f"the model refused: {said[:200]}", where, "Reword the guidelines, or send the row to a person."
        )
    if not isinstance(text, str):
        raise LlmError(
            f"the answer holds no text: {str(choice)[:120]}", where, "Ask a model that answers in text."
        )
    found = Completion(text, str(reply.get("model") or body["model"]), 0, 0, seconds, finish)
    return replace(counted(found, reply.get("usage"), body), tokens=_token_choices(choice.get("logprobs")))


def counted(answer: Completion, usage: Any, body: Mapping[str, Any]) -> Completion:
    """Return an answer with the server's token counts; estimates where they are missing or impossible."""
    tokens_in = _count(usage, "prompt_tokens")
    tokens_out = _count(usage, "completion_tokens")
    sent = prompt_text(body)
    # A token covers at least one byte, and a template adds a few per message.
    is_possible = 0 < tokens_in <= len(sent.encode("utf-8", "replace")) + 2_000
    if is_possible and tokens_out >= (1 if answer.text else 0):
        return replace(answer, tokens_in=tokens_in, tokens_out=tokens_out)
    known_in = max(tokens_in, _estimate(sent))
    known_out = max(tokens_out, _estimate(answer.text))
    return replace(answer, tokens_in=known_in, tokens_out=known_out, is_usage_estimated=True)


def _estimate(text: str) -> int:
    return int(tokens([text])) + 1


def _count(usage: Any, name: str) -> int:
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9 else 0


def _token_choices(raw: Any) -> tuple[TokenChoice, ...]:
    """Return the tokens of an answer; () where the server gave none or in another shape."""
    content = raw.get("content") if isinstance(raw, dict) else None
    try:
        return tuple(
            TokenChoice(
                str(item["token"]),
                float(item["logprob"]),
                {str(other["token"]): float(other["logprob"]) for other in item.get("top_logprobs") or ()},
            )
            for item in content or ()
        )
    except (TypeError, KeyError, ValueError):
        return ()
