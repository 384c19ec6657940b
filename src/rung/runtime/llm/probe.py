"""What a server really does with log-probabilities, schemas, token counts and streams: tried once, stored, shown."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from rung.core.files import read_json, write_json
from rung.runtime.llm.client import Abilities, LlmClient, Request
from rung.runtime.llm.endpoint import Endpoint
from rung.runtime.llm.errors import LlmError
from rung.runtime.llm.replies import Completion
from rung.runtime.weights.store import cache_folder

Verdict = Literal["yes", "no", "refused", "varies"]
# Words that no model says by itself.
_CODES = ("zqx-17", "vwk-52")
_SCHEMA = {
    "type": "object",
    "properties": {"code": {"type": "string", "enum": list(_CODES)}},
    "required": ["code"],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class Finding:
    """One thing that was tried. detail: what was seen."""

    name: str
    verdict: Verdict
    detail: str


@dataclass(frozen=True)
class Probe:
    """What was found at an endpoint on a day. model: as the server names it in answers. usd: what trying it charged."""

    base: str
    model: str
    answered_as: str
    date: str
    findings: tuple[Finding, ...]
    usd: float

    def verdict(self, name: str) -> Verdict:
        """Return what was found of one thing."""
        return next((finding.verdict for finding in self.findings if finding.name == name), "no")

    @property
    def abilities(self) -> Abilities:
        """Return what the server may be asked for."""
        return Abilities(
            schema=self.verdict("json_schema") != "refused", logprobs=self.verdict("logprobs") == "yes"
        )

    def save(self) -> Path:
        """Store it in rung's cache and return the file."""
        path = _path(Endpoint(self.base, self.model))
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, asdict(self))
        return path


def stored_probe(endpoint: Endpoint) -> Probe | None:
    """Return the last probe of an endpoint on this machine; None when it was never probed."""
    try:
        raw = read_json(_path(endpoint))
        return Probe(**{**raw, "findings": tuple(Finding(**each) for each in raw["findings"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def probe(client: LlmClient) -> Probe:
    """Return what a server does; about ten short calls. Raises LlmError when it does not answer at all."""
    first = client.ask(_request("Say hello.", max_tokens=8))
    spent = [first.usd]
    tried: dict[str, Callable[[], Iterable[Any]]] = {
        "token_counts": lambda: _token_counts(client, first),
        "logprobs": lambda: _logprobs(client),
        "json_schema": lambda: _json_schema(client),
        "repeatable": lambda: _repeatable(client),
        "streaming": lambda: _streaming(client),
    }
    findings = []
    for name, attempt in tried.items():
        try:
            verdict, detail, usd = attempt()
            spent.append(usd)
        except LlmError as error:
            verdict, detail = "refused", error.problem[:200]
        findings.append(Finding(name, verdict, detail))
    at = client.endpoint
    return Probe(at.base, at.model, first.model, dt.date.today().isoformat(), tuple(findings), sum(spent))


def _token_counts(client: LlmClient, short: Completion) -> tuple[Verdict, str, float]:
    long = client.ask(_request("Say hello. " * 20, max_tokens=8))
    detail = f"{short.tokens_in} and {long.tokens_in} tokens for 10 and 220 characters"
    if short.is_usage_estimated or long.is_usage_estimated:
        return "no", "the server gives none, or impossible ones: they are estimated", long.usd
    return ("yes" if long.tokens_in > short.tokens_in else "no"), detail, long.usd


def _logprobs(client: LlmClient) -> tuple[Verdict, str, float]:
    answer = client.ask(_request("Say hello.", max_tokens=8, top_logprobs=5))
    others = max((len(token.others) for token in answer.tokens), default=0)
    found: Verdict = "yes" if answer.tokens and others else "no"
    return found, f"{len(answer.tokens)} tokens with up to {others} alternatives", answer.usd


def _json_schema(client: LlmClient) -> tuple[Verdict, str, float]:
    """Ask for something else than the schema allows: only a server that enforces it answers with a code."""
    answer = client.ask_once(_request("Say hello to Anna.", max_tokens=40, schema=_SCHEMA))
    enforced = any(code in answer.text for code in _CODES)
    detail = (
        "an answer followed a schema that the question contradicts"
        if enforced
        else f"not enforced: {answer.text[:60]!r}"
    )
    return ("yes" if enforced else "no"), detail, answer.usd


def _repeatable(client: LlmClient) -> tuple[Verdict, str, float]:
    asked = _request("Name three colours.", max_tokens=16)
    answers = [client.ask(asked) for _ in range(3)]
    different = len({answer.text for answer in answers})
    usd = sum(answer.usd for answer in answers)
    return (
        ("yes" if different == 1 else "varies"),
        f"{different} different answers of 3 at temperature 0",
        usd,
    )


def _streaming(client: LlmClient) -> tuple[Verdict, str, float]:
    stream = client.stream(_request("Count to five.", max_tokens=16))
    pieces = 0
    while True:
        try:
            next(stream)
            pieces += 1
        except StopIteration as end:
            return ("yes" if pieces > 1 else "no"), f"{pieces} pieces", end.value.usd


def _request(text: str, **more: Any) -> Request:
    return Request(({"role": "user", "content": text},), **more)


def _path(endpoint: Endpoint) -> Path:
    key = hashlib.sha256(f"{endpoint.base}\n{endpoint.model}".encode()).hexdigest()[:24]
    return cache_folder() / "llm" / "probes" / f"{key}.json"
