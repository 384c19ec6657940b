"""Base class of models that ask a language model with a prompt and examples: endpoint, price, pool, and its one file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from rung.core.errors import BundleError, RungError
from rung.core.model import Cost, DataFacts, FitContext, Model
from rung.core.prices import load_prices
from rung.core.unavailable import Unavailable
from rung.modalities.text.prompting import ExamplePool, PromptPlan
from rung.privacy.masking import RowMasker
from rung.runtime.llm.client import Abilities, LlmClient, Request
from rung.runtime.llm.endpoint import Endpoint, endpoint
from rung.runtime.llm.errors import InvalidAnswer, LlmError, LlmRefusal
from rung.runtime.llm.pricing import TokenPrice, token_price
from rung.runtime.llm.probe import probe, stored_probe
from rung.runtime.llm.replies import Completion
from rung.runtime.llm.transport import Traffic

FACTS_FILE = "prompt.json"
# Planned seconds of an answer: of a small model here, and of a service.
_SECONDS_HERE, _SECONDS_THERE = 1.5, 0.8
# Training rows whose text the bundle holds as examples, at most, and characters of each.
POOL_ROWS, POOL_CHARS = 300, 4_000


@dataclass(frozen=True)
class PromptedParams:
    """Parameters.

    service: local, ollama, vllm, llamacpp, openai, anthropic, deepseek, qwen, moonshot, or an address ending in /v1.
    model: its full name with version. guidelines: what to do, in your words. notes: what a label or a field means, by name.
    examples: the most training rows to show in a prompt. prompt_tokens: of the whole prompt. usd_in, usd_out: price of
    a million tokens, where rung does not know it. concurrency: calls at a time.
    """

    service: str = ""
    model: str = ""
    guidelines: str = ""
    notes: dict[str, str] = field(default_factory=dict)
    examples: int = 8
    prompt_tokens: int = 1500
    usd_in: float | None = None
    usd_out: float | None = None
    concurrency: int = 8
    per_minute: float | None = None
    timeout_s: float = 60.0


class PromptedModel(Model):
    """A model whose answers come from a language model behind an API."""

    NEEDS = "llm"
    PACKAGES = ("httpx", "jsonschema")
    PLACE = "asked"
    is_stochastic = True
    # Tokens of an answer, for plans.
    ANSWER_TOKENS: ClassVar[int] = 16

    def __init__(self, facts: Mapping[str, Any], pool: ExamplePool) -> None:
        """facts: the content of prompt.json. pool: texts with their answers, to show."""
        self._facts = dict(facts)
        self._pool = pool
        self._plan = PromptPlan(**facts["plan"])
        self._at = endpoint(facts["base"], facts["model"])
        self._price = TokenPrice(**facts["price"])
        self._client = LlmClient(
            self._at, self._price, Traffic(**facts["traffic"]), abilities=Abilities(**facts["abilities"]),
            mask=partial(_masked, kinds=tuple(facts["mask"])) if facts["mask"] else None,
        )  # fmt: skip
        # The machine that runs a local model is paid for by the hour, not by the token.
        self._usd_per_s = load_prices().usd(1.0) if self._at.is_loopback and not self._price.usd_out else 0.0

    @property
    def client(self) -> LlmClient:
        """Return what asks the model, with its masks and its pace."""
        return self._client

    @property
    def address(self) -> str:
        """Return where the rows go."""
        return self._at.base

    @property
    def chosen(self) -> Mapping[str, Any]:
        found = self._facts
        shown: dict[str, Any] = {
            "model": self._at.model, "answers_as": found["answers_as"], "host": self._at.host,
            "examples": self._plan.examples, "example_rows_in_bundle": len(self._pool.texts),
            "masked": ", ".join(found["mask"]) or "nothing", "usd_per_million_tokens": [self._price.usd_in, self._price.usd_out],
            "prices_of": self._price.date or self._price.source,
        }  # fmt: skip
        warning = self._price.retirement_warning()
        return shown | ({"warning": warning} if warning else {})

    @property
    def assumptions(self) -> str:
        return (
            f"The certificate assumes that {self._at.host} goes on serving the same model under the name "
            f"'{self._at.model}'; a provider may change it without notice."
        )

    def _answers_to(self, requests: Sequence[Request]) -> list[Completion | LlmError]:
        """Return the answer to each request; raises the first error that another row would meet as well."""
        found = list(self._client.ask_many(requests))
        for one in found:
            if isinstance(one, LlmError) and not _concerns_the_row(one):
                raise one
        return found

    def _usd(self, one: Completion | LlmError) -> float:
        """Return what an answer costs without a cache."""
        return one.list_usd + one.seconds * self._usd_per_s if isinstance(one, Completion) else one.usd

    def _examples_near(self, texts: Sequence[str]) -> list[list[tuple[str, str]]]:
        """Return, a text, the examples of its prompt: (text, answer as JSON), nearest first."""
        near = self._pool.nearest(texts, self._plan.examples)
        return [[(self._pool.texts[i], self._shown(self._pool.labels[i])) for i in places] for places in near]

    def _shown(self, answer: str) -> str:
        """Return the answer of a pool row as the JSON that the model is to write."""
        return answer

    def save(self, folder: Path) -> None:
        pool = {"texts": self._pool.texts, "labels": self._pool.labels}
        text = json.dumps({**self._facts, "pool": pool}, ensure_ascii=False, indent=1)
        (folder / FACTS_FILE).write_text(text + "\n", encoding="utf-8", errors="replace")

    @classmethod
    def _read(cls, folder: Path) -> tuple[dict[str, Any], ExamplePool]:
        """Return the facts and the pool that `save` wrote."""
        cls.require()
        facts = json.loads((folder / FACTS_FILE).read_text(encoding="utf-8"))
        pool = facts.pop("pool")
        if len(pool["labels"]) != len(pool["texts"]):
            raise BundleError("the stored examples do not fit each other", folder.name, "Build it again.")
        return facts, ExamplePool(pool["texts"], pool["labels"])

    @classmethod
    def unavailable(cls, facts: DataFacts, params: Any, context: FitContext) -> RungError | None:
        if not params.service or not params.model:
            return Unavailable("no_service")
        try:
            cls.require()
            place_of(params)[0].headers()
        except RungError as error:
            return error
        return None

    @classmethod
    def cost(cls, facts: DataFacts, params: Any, context: FitContext) -> Cost:
        text = min(facts.chars_per_row / 3.5, params.prompt_tokens / 2)
        tokens_in = min(150 + 5 * facts.labels + text * (1 + params.examples), params.prompt_tokens)
        at, price = place_of(params) if params.service and params.model else (None, TokenPrice(0.0, 0.0))
        seconds = _SECONDS_HERE if at is None or at.is_loopback else _SECONDS_THERE / params.concurrency
        times = cls.asks_per_row(params)
        here = load_prices().usd(seconds) if at is not None and at.is_loopback and not price.usd_out else 0.0
        each = (price.usd(round(tokens_in), cls.ANSWER_TOKENS) + here) * times
        calls = cls.calls_of_fit(facts, params, context)
        return Cost(
            1.0 + calls * seconds * times, 2.0, 60, 0.2, service_usd_per_1k=1000 * each, one_part=True
        )  # fmt: skip

    @classmethod
    def asks_per_row(cls, params: Any) -> int:
        """Return how often a row is asked about."""
        return 1

    @classmethod
    def calls_of_fit(cls, facts: DataFacts, params: Any, context: FitContext) -> int:
        """Return how many rows a fit asks about."""
        return 0


def place_of(params: Any) -> tuple[Endpoint, TokenPrice]:
    """Return where the parameters say that the model is, and what it charges."""
    at = endpoint(params.service, params.model)
    return at, token_price(at, params.usd_in, params.usd_out)


def plan_of(params: Any) -> PromptPlan:
    """Return the prompt that the parameters ask for."""
    return PromptPlan("plain", params.examples, True, params.guidelines, params.notes, params.prompt_tokens)


def first_facts(
    params: Any, context: FitContext, plan: PromptPlan, needs_logprobs: bool = False
) -> dict[str, Any]:
    """Return the facts of a model that asks a service with this plan. The first fit on a machine probes the server."""
    at, price = place_of(params)
    traffic = Traffic(params.timeout_s, concurrency=params.concurrency, per_minute=params.per_minute)
    found = stored_probe(at)
    if found is None:
        found = probe(LlmClient(at, price, Traffic(params.timeout_s)))
        found.save()
    if needs_logprobs and not found.abilities.logprobs:
        fix = "Write confidence: samples, which asks several times, or auto."
        raise LlmError("the server gives no log-probabilities", at.shown, fix)
    return {
        "base": at.base, "model": at.model, "price": asdict(price), "traffic": asdict(traffic), "abilities": asdict(found.abilities),
        # The model's name in the server's answers, which may say more than the name that is asked for.
        "answers_as": found.answered_as,
        "mask": list(context.mask_before_llm), "plan": plan.as_dict(),
    }  # fmt: skip


def drawn_rows(rows: int, asked: int, seed: int) -> tuple[list[int], list[int]]:
    """Return the places of the rows a fit asks about, in order, and of those it may show, in the order of the draw."""
    order = np.random.default_rng(seed).permutation(rows).tolist()
    return sorted(order[:asked]), order[asked:]


def _masked(texts: Sequence[str], kinds: Sequence[str]) -> list[str]:
    """Return the texts of one request with placeholders for personal data."""
    masker = RowMasker(texts)
    return [masker.mask(text, kinds) for text in texts]


def _concerns_the_row(error: LlmError) -> bool:
    """Return whether another row may well be answered."""
    return isinstance(error, LlmRefusal | InvalidAnswer) or (
        error.status == 400 and "too long" in error.problem
    )
