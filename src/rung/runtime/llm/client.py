"""Ask a language model: within a spending cap, each request once, every structured answer validated."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from rung.core.types import Prediction
from rung.runtime.llm.endpoint import Endpoint
from rung.runtime.llm.errors import CutOff, InvalidAnswer, LlmError, LlmRefusal
from rung.runtime.llm.pricing import TokenPrice
from rung.runtime.llm.replies import Completion, counted, prompt_text, read_completion
from rung.runtime.llm.structured import check_schema, instructions, response_format, validated
from rung.runtime.llm.transport import Traffic, Transport
from rung.runtime.service.ledger import BudgetSpentError
from rung.runtime.service.response_cache import CachedAnswer
from rung.runtime.service.settings import ServiceSettings, service_settings

Message = Mapping[str, str]
# Takes the texts of one request and returns them without personal data.
Mask = Callable[[Sequence[str]], list[str]]
# Tokens that a chat template adds at most to a request; for the price that is reserved before a call.
_TEMPLATE_TOKENS = 200


@dataclass(frozen=True)
class Request:
    """What is asked: messages of a chat, or a prompt to be continued.

    schema: JSON schema of the answer, of the tested subset. top_logprobs: likeliest tokens to return in each place, 0
    for no probabilities. sample: number of one of several answers to the same question, sent as the seed. repairs: how
    often an answer that breaks the schema is sent back.
    """

    messages: tuple[Message, ...] = ()
    prompt: str = ""
    max_tokens: int = 256
    temperature: float = 0.0
    schema: Mapping[str, Any] | None = None
    top_logprobs: int = 0
    sample: int = 0
    repairs: int = 1

    @property
    def path(self) -> str:
        return "/chat/completions" if self.messages else "/completions"


@dataclass(frozen=True)
class Abilities:
    """What a server is asked for: `rung llm probe` finds out. schema: it takes `response_format` with a JSON schema."""

    schema: bool = True
    logprobs: bool = True


_TRAFFIC, _ABILITIES = Traffic(), Abilities()
_EMPTY = Completion("", "", 0, 0, 0.0)


class LlmClient:
    """A language model at an endpoint; safe to share between threads.

    mask: takes personal data out of every text before it is sent. services: where answers are kept and charges counted;
    by default those of the running fit, if any. Raises LlmError; BudgetSpentError before a call that could exceed the cap.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        price: TokenPrice,
        traffic: Traffic = _TRAFFIC,
        *,
        abilities: Abilities = _ABILITIES,
        mask: Mask | None = None,
        services: ServiceSettings | None = None,
    ) -> None:
        self.endpoint, self.price, self.abilities = endpoint, price, abilities
        self._transport = Transport(endpoint, traffic)
        self._mask, self._services = mask, services
        self._reserved_usd, self._running = 0.0, 0
        self._lock, self._returned = threading.Lock(), threading.Condition()

    def ask(self, request: Request) -> Completion:
        """Return the answer to a request, from the cache where it was given before."""
        return self._ask(request, self._services or service_settings())

    def ask_many(
        self, requests: Sequence[Request], progress: Callable[[int, int], None] | None = None
    ) -> Iterator[Completion | LlmError]:
        """Yield the answer to each request in order, or the error of one that could not be answered.

        `concurrency` requests run at a time. A spent budget ends the batch; with a cache, running it again pays for no
        answer twice. progress: called with the number of answers so far and of requests.
        """
        services = self._services or service_settings()
        with ThreadPoolExecutor(self._transport.traffic.concurrency) as pool:
            futures = [pool.submit(partial(self._ask, request, services)) for request in requests]
            try:
                for done, future in enumerate(futures, 1):
                    try:
                        yield future.result()
                    except LlmError as error:
                        yield error
                    if progress is not None:
                        progress(done, len(futures))
            finally:
                pool.shutdown(cancel_futures=True)

    def stream(self, request: Request) -> Generator[str, None, Completion]:
        """Yield the pieces of an answer and return it whole. Neither cached nor held to a schema.

        Raises CutOff, with what had come, when the stream ends before the server said so.
        """
        services = self._services or service_settings()
        body = {**self._body(request), "stream": True, "stream_options": {"include_usage": True}}
        begun, pieces, finish, usage, model = time.perf_counter(), [], "", None, self.endpoint.model
        with self._reserved(body, services):
            for data in self._transport.stream(request.path, body):
                if data == "[DONE]":
                    break
                event = _event(data)
                usage, model = event.get("usage") or usage, event.get("model") or model
                for choice in event.get("choices") or ():
                    piece = choice.get("text") or (choice.get("delta") or {}).get("content") or ""
                    finish = choice.get("finish_reason") or finish
                    if piece:
                        pieces.append(piece)
                        yield piece
            answer = Completion("".join(pieces), model, 0, 0, time.perf_counter() - begun, finish)
            answer = self._priced(counted(answer, usage, body))
            if services is not None:
                services.ledger.add(answer.usd, 1)
        if not finish:
            raise CutOff(answer.text, self.endpoint.shown)
        return answer

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def _ask(self, request: Request, services: ServiceSettings | None) -> Completion:
        """Return a validated answer; one that breaks the schema is sent back with the reason, `repairs` times."""
        if request.schema is not None:
            check_schema(request.schema)
        answer, spent, listed = self.ask_once(request, services), 0.0, 0.0
        for turn in range(request.repairs + 1):
            spent, listed = spent + answer.usd, listed + answer.list_usd
            if request.schema is None:
                break
            try:
                value = validated(answer.text, request.schema, self.endpoint.shown)
                return replace(answer, value=value, usd=spent, list_usd=listed, tries=turn + 1)
            except InvalidAnswer as error:
                if turn == request.repairs:
                    error.usd = listed
                    raise
                said = f"{error.problem}. {instructions(request.schema)}"
                more = ({"role": "assistant", "content": answer.text}, {"role": "user", "content": said})
                request = replace(request, messages=(*request.messages, *more))
                answer = self.ask_once(request, services)
        return replace(answer, usd=spent, list_usd=listed)

    def ask_once(self, request: Request, services: ServiceSettings | None = None) -> Completion:
        """Return the answer to one call as it came, not validated, from the cache or paid for."""
        body = self._body(request)
        key = request_key(self.endpoint.base, body)
        kept = services.cache.get(key) if services is not None else None
        if kept is not None:
            return Completion.from_dict(kept.answer.value, kept.answer.cost)
        with self._reserved(body, services):
            begun = time.perf_counter()
            reply, tries = self._transport.post(request.path, body, key)
            try:
                answer = read_completion(reply, body, time.perf_counter() - begun, self.endpoint.shown)
            except LlmRefusal as error:
                error.usd = self._priced(counted(_EMPTY, reply.get("usage"), body)).usd
                if services is not None:
                    services.ledger.add(error.usd, 1)
                raise
            answer = replace(self._priced(answer), tries=tries)
            if services is not None:
                with self._lock:
                    services.ledger.add(answer.usd, 1)
                    made = Prediction(answer.as_dict(), cost=answer.usd)
                    services.cache.add([(key, CachedAnswer(made, answer.seconds, 0.0))])
        return answer

    @contextmanager
    def _reserved(self, body: Mapping[str, Any], services: ServiceSettings | None) -> Iterator[None]:
        """Hold back the most that a call can cost while it runs; raises BudgetSpentError when the cap has no room."""
        if services is None:
            yield
            return
        # A token covers at least one byte of text.
        most_in = len(prompt_text(body).encode("utf-8", "replace")) + _TEMPLATE_TOKENS
        most = self.price.usd(most_in, body["max_tokens"])
        with self._returned:
            while True:
                try:
                    services.ledger.require(self._reserved_usd + most)
                    break
                except BudgetSpentError:
                    # Calls that run have held back more than they will charge: their rest may be enough.
                    if not self._reserved_usd:
                        raise
                    self._returned.wait()
            self._reserved_usd += most
            self._running += 1
        try:
            yield
        finally:
            with self._returned:
                self._running -= 1
                # No remainder of a sum of floats may stand for a call.
                self._reserved_usd = self._reserved_usd - most if self._running else 0.0
                self._returned.notify_all()

    def _priced(self, answer: Completion) -> Completion:
        usd = self.price.usd(answer.tokens_in, answer.tokens_out)
        return replace(answer, usd=usd, list_usd=usd)

    def _body(self, request: Request) -> dict[str, Any]:
        """Return the JSON of a request, without personal data if `mask` is set."""
        texts = [message["content"] for message in request.messages] or [request.prompt]
        if request.schema is not None and not self.abilities.schema and request.messages:
            texts[0] = f"{texts[0]}\n{instructions(request.schema)}"
        texts = self._mask(texts) if self._mask is not None else texts
        body: dict[str, Any] = {
            "model": self.endpoint.model, "max_tokens": request.max_tokens, "temperature": request.temperature
        }  # fmt: skip
        if request.messages:
            roles = (message["role"] for message in request.messages)
            body["messages"] = [
                {"role": role, "content": text} for role, text in zip(roles, texts, strict=True)
            ]
        else:
            body["prompt"] = texts[0]
        if request.temperature > 0:
            body["seed"] = request.sample
        if request.schema is not None and self.abilities.schema:
            body["response_format"] = response_format(request.schema)
        if request.top_logprobs and self.abilities.logprobs:
            asked = {"logprobs": True, "top_logprobs": request.top_logprobs}
            body |= asked if request.messages else {"logprobs": request.top_logprobs}
        return body


def request_key(base: str, body: Mapping[str, Any]) -> str:
    """Return what a request is told by: equal for equal content at the same address."""
    text = json.dumps([base, body], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _event(data: str) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError:
        return {}
    if isinstance(found, dict) and found.get("error"):
        raise LlmError(f"the server ended the stream: {str(found['error'])[:200]}")
    return found if isinstance(found, dict) else {}
