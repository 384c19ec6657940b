"""A language model behind an API, asked for one of the labels with a prompt that was chosen on training rows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from rung.core.errors import BundleError, RungError
from rung.core.model import Cost, DataFacts, FitContext, Model, answers_from
from rung.core.prices import load_prices
from rung.core.types import Columns, Examples, Prediction, Schema
from rung.core.unavailable import Unavailable
from rung.modalities.text.ngrams import join_fields
from rung.modalities.text.prompting import INSTRUCTIONS, ExamplePool, PromptPlan
from rung.privacy.masking import RowMasker
from rung.runtime.llm.client import Abilities, LlmClient, Request
from rung.runtime.llm.endpoint import Endpoint, endpoint
from rung.runtime.llm.errors import InvalidAnswer, LlmError, LlmRefusal
from rung.runtime.llm.label_confidence import label_probabilities, mended
from rung.runtime.llm.pricing import TokenPrice, token_price
from rung.runtime.llm.probe import probe, stored_probe
from rung.runtime.llm.replies import Completion
from rung.runtime.llm.transport import Traffic

Probability = npt.NDArray[np.float64]
_NAME, _FACTS = "llm_prompt", "prompt.json"
_ALTERNATIVES, _SAMPLE_TEMPERATURE = 20, 0.7
# Planned seconds of an answer: of a small model here, and of a service.
_SECONDS_HERE, _SECONDS_THERE = 1.5, 0.8
# Training rows whose text the bundle holds as examples, at most.
_POOL = 300
# What a row without a usable answer gets: even odds for all labels but a little more for the most frequent one.
_NO_ANSWER = 1e-3


@dataclass(frozen=True)
class LlmPromptParams:
    """Parameters.

    service: local, ollama, vllm, llamacpp, openai, anthropic, deepseek, qwen, moonshot, or an address ending in /v1.
    model: its full name with version. guidelines: how to label, in your words. notes: what a label means, by label.
    examples: the most training rows to show in a prompt. prompt_tokens: of the whole prompt. search: training rows to
    choose the prompt on; default by effort. confidence: from log-probabilities, or from the agreement of several
    answers; auto: the former where the server gives them, else the accuracy on the searched rows. samples: how many
    answers. usd_in, usd_out: price of a million tokens, where rung does not know it. concurrency: calls at a time.
    """

    service: str = ""
    model: str = ""
    guidelines: str = ""
    notes: dict[str, str] = field(default_factory=dict)
    examples: int = 8
    prompt_tokens: int = 1500
    search: int | None = None
    confidence: Literal["auto", "logprobs", "samples"] = "auto"
    samples: int = 5
    usd_in: float | None = None
    usd_out: float | None = None
    concurrency: int = 8
    per_minute: float | None = None
    timeout_s: float = 60.0


class LlmPrompt(Model):
    """Use it to see what a language model is worth on your labels, and where nothing cheaper clears the bar."""

    NEEDS = "llm"
    PACKAGES = ("httpx", "jsonschema")
    TASKS = frozenset({"text_classification"})
    Params = LlmPromptParams
    PLACE = "asked"
    is_stochastic = True

    def __init__(self, labels: tuple[str, ...], facts: Mapping[str, Any], pool: ExamplePool) -> None:
        """facts: the content of prompt.json. pool: labelled texts to show."""
        self.labels = labels
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

    @classmethod
    def fit(cls, examples: Examples, params: LlmPromptParams, context: FitContext) -> Self:
        """Return the model after a probe of the server and a search for the prompt; nothing is trained."""
        cls.require()
        from rung.training.text.prompt_search import SEARCH_ROWS, candidates, search_prompts

        at, price = _place(params)
        labels = examples.schema.labels
        count = min(
            SEARCH_ROWS[context.effort] if params.search is None else params.search, len(examples) // 2
        )
        order = np.random.default_rng(context.seed).permutation(len(examples))
        asked = examples.take(sorted(order[:count].tolist()))
        texts = join_fields(examples.inputs)
        pool = ExamplePool(*_spread(texts, examples.targets, order[count:].tolist(), labels))
        traffic = Traffic(params.timeout_s, concurrency=params.concurrency, per_minute=params.per_minute)
        first = PromptPlan(
            "plain", params.examples, True, params.guidelines, params.notes, params.prompt_tokens
        )
        facts = {
            "base": at.base, "model": at.model, "price": asdict(price), "traffic": asdict(traffic),
            "abilities": asdict(_abilities(at, price, params)), "answers_as": _answers_as(at), "mask": list(context.mask_before_llm),
            "confidence": params.confidence, "samples": params.samples, "plan": first.as_dict(), "accuracy": None,
            "temperature": 1.0, "mixed": 0.05, "usual": Counter(examples.targets).most_common(1)[0][0],
            "searched": {"rows": 0, "prompts": 1},
        }  # fmt: skip
        model = cls(labels, facts, pool)
        if not count:
            return model
        plans = candidates(first, context.effort)
        found = search_prompts(
            plans, asked.targets, lambda plan: model._with(plan=plan.as_dict())._raw(asked.inputs), labels,
            lambda done, total: context.report(done, total, {}),
        )  # fmt: skip
        return model._with(
            plan=found.plan.as_dict(), accuracy=found.accuracy, temperature=found.temperature, mixed=found.mixed,
            searched={"rows": found.rows, "prompts": found.tried},
        )  # fmt: skip

    def _with(self, **changed: Any) -> Self:
        """Return the model with other facts and the same pool."""
        return type(self)(self.labels, {**self._facts, **changed}, self._pool)

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
            "model": self._at.model, "answers_as": found["answers_as"], "host": self._at.host, "instruction": INSTRUCTIONS[self._plan.instruction],
            "examples": self._plan.examples, "example_rows_in_bundle": len(self._pool.texts),
            "masked": ", ".join(found["mask"]) or "nothing", "usd_per_million_tokens": [self._price.usd_in, self._price.usd_out],
            "prices_of": self._price.date or self._price.source, "searched_rows": found["searched"]["rows"],
            "searched_prompts": found["searched"]["prompts"],
        }  # fmt: skip
        warning = self._price.retirement_warning()
        return (
            shown
            | ({"search_accuracy": round(found["accuracy"], 4)} if found["accuracy"] is not None else {})
            | ({"warning": warning} if warning else {})
        )

    @property
    def assumptions(self) -> str:
        return (
            f"The certificate assumes that {self._at.host} goes on serving the same model under the name "
            f"'{self._at.model}'; a provider may change it without notice."
        )

    def probabilities(self, inputs: Columns) -> Probability:
        rows = [answer.extra["probabilities"] for answer in self.predict(inputs)]
        return np.array(rows).reshape(-1, len(self.labels))

    def predict(self, inputs: Columns) -> list[Prediction]:
        answers = self._raw(inputs)
        if not answers:
            return []
        raw = np.array([answer.extra["probabilities"] for answer in answers])
        rows = mended(raw, self._facts["temperature"], self._facts["mixed"])
        return [
            Prediction(a.value, float(row[self.labels.index(a.value)]), a.abstained, _NAME, a.cost, {**a.extra, "probabilities": row})
            for a, row in zip(answers, rows, strict=True)
        ]  # fmt: skip

    def _raw(self, inputs: Columns) -> list[Prediction]:
        """Return answers with probabilities as the model gives them, not calibrated."""
        texts = join_fields(inputs)
        near = self._pool.nearest(texts, self._plan.examples)
        times = self._facts["samples"] if self._facts["confidence"] == "samples" else 1
        requests = [
            self._request(text, places, sample)
            for text, places in zip(texts, near, strict=True)
            for sample in range(times)
        ]
        found = list(self._client.ask_many(requests))
        for one in found:
            if isinstance(one, LlmError) and not _concerns_the_row(one):
                raise one
        return [self._answer(found[start : start + times]) for start in range(0, len(found), times)]

    def _request(self, text: str, places: Sequence[int], sample: int) -> Request:
        shown = [(self._pool.texts[place], _json(self._pool.labels[place])) for place in places]
        many = self._facts["confidence"] == "samples"
        return Request(
            self._plan.messages(text, self.labels, shown),
            max_tokens=max(len(_json(label).encode()) for label in self.labels) + 16,
            temperature=_SAMPLE_TEMPERATURE if many else 0.0,
            schema=_schema(self.labels),
            top_logprobs=0 if many else _ALTERNATIVES,
            sample=sample,
        )

    def _answer(self, found: Sequence[Completion | LlmError]) -> Prediction:
        """Return the prediction of the answers to one row; the usual label, marked, where there is none."""
        said = [one for one in found if isinstance(one, Completion)]
        cost = sum(
            one.list_usd + one.seconds * self._usd_per_s if isinstance(one, Completion) else one.usd
            for one in found
        )
        if not said:
            row = np.full(len(self.labels), 1.0 / len(self.labels))
            row[self.labels.index(self._facts["usual"])] += _NO_ANSWER
            problem = next(str(one.problem) for one in found if isinstance(one, LlmError))
            (answer,) = answers_from((row / row.sum())[None], self.labels, _NAME)
            extra = {**answer.extra, "problem": problem}
            return Prediction(answer.value, answer.score, True, _NAME, cost, extra)
        values = [str(one.value["label"]) for one in said]
        label = Counter(values).most_common(1)[0][0]
        row = self._chances(said, values, label)
        return Prediction(label, float(row.max()), False, _NAME, cost, {"probabilities": row})

    def _chances(self, said: Sequence[Completion], values: Sequence[str], label: str) -> Probability:
        """Return the probability of each label; the answered one is never below another."""
        size, place = len(self.labels), self.labels.index(label)
        if self._facts["confidence"] == "samples":
            votes = np.array([values.count(each) for each in self.labels], dtype=np.float64)
            row = (votes + 1.0 / size) / (len(values) + 1.0)
        else:
            told = label_probabilities(said[0].tokens, label, self.labels)
            sure = max(self._facts["accuracy"] or 0.9, 1.0 / size)
            even = np.full(size, (1.0 - sure) / max(size - 1, 1))
            even[place] = sure
            row = even if told is None else told
        # Greedy decoding may spell a label that the sum over tokens ranks second.
        row[place] = max(row[place], row.max() + 1e-9)
        return np.asarray(row / row.sum())

    def save(self, folder: Path) -> None:
        pool = {"texts": self._pool.texts, "labels": self._pool.labels}
        text = json.dumps({**self._facts, "pool": pool}, ensure_ascii=False, indent=1)
        (folder / _FACTS).write_text(text + "\n", encoding="utf-8", errors="replace")

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        cls.require()
        facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        pool = facts.pop("pool")
        if not set(pool["labels"]) | {facts["usual"]} <= set(schema.labels) or len(pool["labels"]) != len(
            pool["texts"]
        ):
            raise BundleError("the stored examples do not fit the labels", folder.name, "Build it again.")
        return cls(schema.labels, facts, ExamplePool(pool["texts"], pool["labels"]))

    @classmethod
    def unavailable(cls, facts: DataFacts, params: LlmPromptParams, context: FitContext) -> RungError | None:
        if not params.service or not params.model:
            return Unavailable("no_service")
        try:
            cls.require()
            _place(params)[0].headers()
        except RungError as error:
            return error
        return None

    @classmethod
    def cost(cls, facts: DataFacts, params: LlmPromptParams, context: FitContext) -> Cost:
        from rung.training.text.prompt_search import SEARCH_ROWS, candidates

        text = min(facts.chars_per_row / 3.5, params.prompt_tokens / 2)
        tokens_in = min(150 + 5 * facts.labels + text * (1 + params.examples), params.prompt_tokens)
        is_known = bool(params.service and params.model)
        at, price = _place(params) if is_known else (None, TokenPrice(0.0, 0.0))
        seconds = _SECONDS_HERE if at is None or at.is_loopback else _SECONDS_THERE / params.concurrency
        times = params.samples if params.confidence == "samples" else 1
        here = load_prices().usd(seconds) if at is not None and at.is_loopback and not price.usd_out else 0.0
        each = (price.usd(round(tokens_in), 16) + here) * times
        asked = min(SEARCH_ROWS[context.effort] if params.search is None else params.search, facts.rows // 2)
        calls = asked * len(candidates(PromptPlan(examples=params.examples), context.effort))
        return Cost(
            1.0 + calls * seconds * times, 2.0, 60, 0.2, service_usd_per_1k=1000 * each, one_part=True
        )  # fmt: skip


def _place(params: LlmPromptParams) -> tuple[Endpoint, TokenPrice]:
    at = endpoint(params.service, params.model)
    return at, token_price(at, params.usd_in, params.usd_out)


def _abilities(at: Endpoint, price: TokenPrice, params: LlmPromptParams) -> Abilities:
    """Return what the server does, as a probe found on this machine; the first fit probes it."""
    found = stored_probe(at)
    if found is None:
        found = probe(LlmClient(at, price, Traffic(params.timeout_s)))
        found.save()
    if params.confidence == "logprobs" and not found.abilities.logprobs:
        fix = "Write confidence: samples, which asks several times, or auto."
        raise LlmError("the server gives no log-probabilities", at.shown, fix)
    return found.abilities


def _answers_as(at: Endpoint) -> str:
    """Return the model's name in the server's answers, which may say more than the name that is asked for."""
    found = stored_probe(at)
    return found.answered_as if found is not None else at.model


def _spread(
    texts: Sequence[str], targets: Sequence[str], order: Sequence[int], labels: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Return texts and labels of at most _POOL rows, as many of each label as there are, in turn."""
    by_label = {label: [place for place in order if targets[place] == label] for label in labels}
    turns = max(map(len, by_label.values()), default=0)
    dealt = [places[turn] for turn in range(turns) for places in by_label.values() if turn < len(places)]
    kept = [place for place in dealt if texts[place].strip()][:_POOL]
    return [texts[place][:4000] for place in kept], [targets[place] for place in kept]


def _masked(texts: Sequence[str], kinds: Sequence[str]) -> list[str]:
    """Return the texts of one request with placeholders for personal data."""
    masker = RowMasker(texts)
    return [masker.mask(text, kinds) for text in texts]


def _concerns_the_row(error: LlmError) -> bool:
    """Return whether another row may well be answered."""
    return isinstance(error, LlmRefusal | InvalidAnswer) or (
        error.status == 400 and "too long" in error.problem
    )


def _schema(labels: Sequence[str]) -> dict[str, Any]:
    answer = {"type": "string", "enum": list(labels)}
    return {
        "type": "object",
        "properties": {"label": answer},
        "required": ["label"],
        "additionalProperties": False,
    }


def _json(label: str) -> str:
    return json.dumps({"label": label}, ensure_ascii=False)
