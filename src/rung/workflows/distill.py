"""Learn from a teacher: ask it about chosen rows within a budget, train the cheap rungs on its answers, certify on gold."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rung.building.ladder import fit_context
from rung.core import registry
from rung.core.certificate_lock import CertificateLock
from rung.core.errors import RungError
from rung.core.files import write_json, write_text
from rung.core.messages import resolve_language
from rung.core.model import Model
from rung.core.params import make_params
from rung.core.prices import load_prices
from rung.core.spec.data import CertifySpec
from rung.core.spec.product import Located, Product, load_product
from rung.core.stats.intervals import wilson_interval
from rung.core.task import Task
from rung.core.types import Columns, Examples, Prediction, take_rows
from rung.data.prepare.cast import with_inputs
from rung.data.prepare.parquet import read_examples
from rung.data.prepare.prepare import prepare
from rung.data.sources.unlabelled import unlabelled_rows
from rung.pages.distill import render
from rung.runtime.embeddings.settings import without_embedding_cache
from rung.runtime.service.ledger import BudgetSpentError, Ledger
from rung.runtime.service.settings import count_service_calls
from rung.serving.predictor import open_bundle
from rung.workflows.build import Build, build
from rung.workflows.distilled_files import write_distilled
from rung.workflows.synthetic_rows import Synthetic, check_synthetic, synthetic_rows

FOLDER = "distilled"
# Gold rows that the teacher's error is estimated on, at most; a third of the training rows.
_GOLD_ROWS = 200
# What a teacher must know beyond the most frequent label, in accuracy.
_LEAD = 0.20
_STUDENT = "tfidf_linear"
_SEED_ROWS = 50


@dataclass(frozen=True)
class TeacherSpec:
    """Who labels: a bundle's folder, or a model at a service of `rung.runtime.llm.endpoint`. params: of `llm_prompt`.

    synthetic: labels of fewer rows get texts that the language model makes up, until they have so many; they train and never certify.
    """

    service: str
    model: str = ""
    params: Mapping[str, Any] | None = None
    synthetic: int = 0

    @property
    def name(self) -> str:
        return self.model or Path(self.service).name


@dataclass(frozen=True)
class Distilled:
    """What came of it: the folder, the build of the students, the report as a value."""

    folder: Path
    build: Build
    report: Mapping[str, Any]


@dataclass(frozen=True)
class _Gold:
    """Rows labelled by people. train: may be learned from; certification: never looked at here."""

    train: Examples
    certification: Examples


def distill(
    product: Product | Located | str | Path,
    teacher: TeacherSpec,
    pool: str | Path,
    *,
    usd: float = 5.0,
    labels: int = 2_000,
    lang: str | None = None,
    progress: Callable[[int, float, float], None] = lambda asked, usd, score: None,
) -> Distilled:
    """Return students trained on a teacher's labels of chosen rows of the pool, certified on rows labelled by people.

    product: its data are the gold rows. pool: a table with the same input columns; labels in it are not read. usd: what the
    teacher may charge, in all, a hard cap. labels: the most rows to ask about. progress: told after each round the number of
    labels, what they cost and the accuracy of a quick student. Writes distilled/ beside product.yaml.

    Raises RungError where the teacher is not 20 points better than the most frequent label.
    """
    product, base = _located(product)
    task = registry.task(product.task)
    if product.task != "text_classification":
        raise RungError(f"{product.task} cannot be distilled yet", "task", "Use text_classification.")
    product = with_inputs(product, base, task)
    check_synthetic(teacher.synthetic, product.data.input, bool(teacher.model))
    home = base / FOLDER
    home.mkdir(exist_ok=True)
    gold = _gold(product, base, task, home)
    inputs = unlabelled_rows(Path(pool), product.data, task, (gold.train, gold.certification), base)
    context = fit_context(product, product.budget.threads or os.cpu_count() or 1, base)
    ledger = Ledger(home / "spent.json", usd, "teacher")
    with _asking(teacher, gold, context, home, ledger) as (ask, tried, client):
        estimate = _estimate(teacher, tried, ask)
        found = _collect(ask, inputs, gold, context, labels, progress, ledger)
        wanted = teacher.synthetic
        made = _made_up(wanted, client, ask, gold, inputs, found) if wanted else Synthetic()
    learned = write_distilled(
        home, product, (gold.train, gold.certification), inputs, _kept(found), (teacher.name, made)
    )
    data = product.data.model_copy(update={"path": f"{FOLDER}/train.csv"})
    certify = CertifySpec(path=f"{FOLDER}/gold.csv") if len(gold.certification) else product.certify
    student = product.model_copy(update={"data": data, "certify": certify})
    built = build(Located(student, base), run=home / "run", lang=lang)
    report = _report(product, gold, estimate, found, learned, built, ledger.total().usd)
    report |= {"synthetic": made.as_dict()} if teacher.synthetic else {}
    write_json(home / "distill.json", report)
    write_text(home / "distill.html", render(report, resolve_language(lang)))
    return Distilled(home, built, report)


Ask = Callable[[Columns], list[Prediction]]


@dataclass(frozen=True)
class _Found:
    """What was asked: rows of the pool, the answers, the curve, why it ended, and which answers are kept."""

    rows: Sequence[int]
    answers: Sequence[Prediction]
    curve: Sequence[dict[str, float]]
    why: str
    kept: Sequence[bool]


def _located(product: Product | Located | str | Path) -> tuple[Product, Path]:
    if isinstance(product, Located):
        return product
    return (product, Path.cwd()) if isinstance(product, Product) else load_product(Path(product))


def _gold(product: Product, base: Path, task: Task, home: Path) -> _Gold:
    """Return the rows labelled by people, split as a build splits them."""
    place = home / "gold"
    place.mkdir(exist_ok=True)
    dataset = prepare(product, base, task, CertificateLock(base / "certificate.lock"), place)
    return _Gold(read_examples(dataset, "train"), read_examples(dataset, "certification"))


@contextmanager
def _asking(
    teacher: TeacherSpec, gold: _Gold, context: Any, home: Path, ledger: Ledger
) -> Iterator[tuple[Ask, Examples, Any]]:
    """Yield a function that asks the teacher, gold rows to estimate its error on, which it has not seen, and its client if it has one."""
    rng = np.random.default_rng(context.seed)
    order = rng.permutation(len(gold.train))
    count = min(_GOLD_ROWS, len(order) // 3)
    tried, rest = (
        gold.train.take(sorted(order[:count].tolist())),
        gold.train.take(sorted(order[count:].tolist())),
    )
    if not teacher.model:
        yield _bundle(teacher, gold), tried, None
        return
    with count_service_calls(home / "answers.jsonl", ledger):
        family = registry.model("llm_prompt")
        params = {"service": teacher.service, "model": teacher.model, **(teacher.params or {})}
        made = make_params(family.Params, params)
        family.require()
        model: Any = family.fit(rest, made, context)
        yield model.predict, tried, model.client


def _bundle(teacher: TeacherSpec, gold: _Gold) -> Ask:
    """Return a function that asks a bundle; its labels must be those of the product."""
    # Its price must not depend on what was embedded before.
    with without_embedding_cache():
        predictor = open_bundle(teacher.service)
    labels = gold.train.schema.labels
    strange = [label for label in predictor.schema.labels if label not in labels]
    if strange:
        raise RungError(
            f"the teacher answers '{strange[0]}', which no gold row has",
            teacher.service,
            "Use a teacher of the same labels.",
        )

    def ask(inputs: Columns) -> list[Prediction]:
        names = list(inputs)
        rows = [dict(zip(names, cells, strict=True)) for cells in zip(*inputs.values(), strict=True)]
        return predictor.predict(rows)

    return ask


def _estimate(teacher: TeacherSpec, tried: Examples, ask: Ask) -> dict[str, Any]:
    """Return what the teacher gets right on gold rows; raises RungError where that is no better than guessing."""
    begun = time.process_time()
    answers = ask(tried.inputs)
    cpu = time.process_time() - begun
    right = sum(answer.value == truth for answer, truth in zip(answers, tried.targets, strict=True))
    rows, accuracy = len(tried), right / max(len(tried), 1)
    usual = max(map(list(tried.targets).count, set(tried.targets))) / rows
    low, high = wilson_interval(accuracy, rows)
    charged = math.fsum(answer.cost for answer in answers)
    # A bundle here is paid for by its seconds.
    cost = (charged or load_prices().usd(cpu)) / rows
    if accuracy < usual + _LEAD:
        raise RungError(
            f"no teacher here: '{teacher.name}' is right on {accuracy:.1%} of {rows} gold rows, "
            f"always answering the most frequent label on {usual:.1%}",
            "--teacher",
            f"A teacher must be {_LEAD * 100:.0f} points better. Use a stronger model, or explain the labels in `guidelines` and `notes`.",
        )
    return {
        "name": teacher.name, "right": right, "rows": rows, "accuracy": round(accuracy, 4),
        "interval": [round(low, 4), round(high, 4)], "floor": round(usual, 4), "usd_per_1k": round(1000 * cost, 9),
    }  # fmt: skip


def _collect(
    ask: Ask, inputs: Columns, gold: _Gold, context: Any, labels: int, progress: Callable[[int, float, float], None],
    ledger: Ledger,
) -> _Found:  # fmt: skip
    """Ask about the rows that teach most, round by round, until more do not help or the budget is spent."""
    from rung.training.distillation.selection import has_flattened, kept_answers, next_rows

    rng = np.random.default_rng(context.seed)
    total = len(next(iter(inputs.values())))
    batch = max(_SEED_ROWS, min(labels, total) // 12)
    rows: list[int] = []
    answers: list[Prediction] = []
    curve: list[dict[str, float]] = []
    student: Model | None = None
    why = "labels"
    while len(rows) < labels:
        free = np.setdiff1d(np.arange(total), rows)
        if not len(free):
            why = "pool"
            break
        chances = student.probabilities(take_rows(inputs, free.tolist())) if student is not None else None  # type: ignore[attr-defined]
        chosen = next_rows(chances, free, min(batch, labels - len(rows)), rng).tolist()
        found = _within_budget(ask, inputs, chosen)
        rows += chosen[: len(found)]
        answers += found
        if len(found) < len(chosen):
            why = "budget"
            break
        student = _quick(_labelled(gold, inputs, rows, answers), context)
        score = _right(student, gold.train)
        curve.append({"labels": len(rows), "accuracy": round(score, 4)})
        progress(len(rows), ledger.total().usd, score)
        if has_flattened([point["accuracy"] for point in curve]):
            why = "flat"
            break
    if not rows:
        raise BudgetSpentError("the budget has no room for a single label", "--usd", "Raise it.")
    learned = _labelled(gold, inputs, rows, answers)
    doubts = _by_student(learned, context)
    kept = kept_answers(np.array([a.score or 1.0 for a in answers]), doubts)
    return _Found(
        rows, answers, curve, why, [bool(k) and not a.abstained for k, a in zip(kept, answers, strict=True)]
    )


def _within_budget(ask: Ask, inputs: Columns, rows: Sequence[int]) -> list[Prediction]:
    """Return the answers to as many rows as the budget has room for; those that were paid for are not paid for again."""
    try:
        return ask(take_rows(inputs, rows))
    except BudgetSpentError:
        found: list[Prediction] = []
        for row in rows:
            try:
                found += ask(take_rows(inputs, [row]))
            except BudgetSpentError:
                break
        return found


def _labelled(gold: _Gold, inputs: Columns, rows: Sequence[int], answers: Sequence[Prediction]) -> Examples:
    """Return rows of the pool with the teacher's answers."""
    count = len(rows)
    units = [f"pool-{row}" for row in rows]
    targets = [answer.value for answer in answers]
    return Examples(gold.train.schema, take_rows(inputs, rows), targets, units, list(rows), [0.0] * count)


def _quick(examples: Examples, context: Any) -> Model:
    family = registry.model(_STUDENT)
    return family.fit(examples, family.Params(), replace(context, effort=0, channel=None))


def _right(student: Model, gold: Examples) -> float:
    answers = student.predict(gold.inputs)
    return float(np.mean([a.value == t for a, t in zip(answers, gold.targets, strict=True)]))


def _by_student(learned: Examples, context: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the probability that a student gives the teacher's answer to rows it was not trained on."""
    place = {label: i for i, label in enumerate(learned.schema.labels)}
    out = np.ones(len(learned))
    for part in range(3):
        test = [i for i in range(len(learned)) if i % 3 == part]
        learn = [i for i in range(len(learned)) if i % 3 != part]
        if len({learned.targets[i] for i in learn}) < 2:
            continue
        chances = _quick(learned.take(learn), context).probabilities(learned.take(test).inputs)  # type: ignore[attr-defined]
        out[test] = [row[place[learned.targets[i]]] for i, row in zip(test, chances, strict=True)]
    return out


def _made_up(wanted: int, client: Any, ask: Ask, gold: _Gold, inputs: Columns, found: _Found) -> Synthetic:
    """Return rows that the teacher makes up for labels of few rows; none that copies a row it was given or one that certifies."""
    (name,) = inputs
    people = list(zip(map(str, gold.train.inputs[name]), gold.train.targets, strict=True))
    taught = [(str(inputs[name][row]), answer.value) for row, answer in _kept(found)]
    others = [*map(str, inputs[name]), *map(str, gold.certification.inputs.get(name, ()))]

    def answer(texts: Sequence[str]) -> list[Prediction]:
        return ask({name: list(texts)})

    return synthetic_rows(wanted, client, answer, people, taught, others, gold.train.schema.labels)


def _kept(found: _Found) -> list[tuple[int, Prediction]]:
    """Return the rows of the pool whose answers are kept, with their answers."""
    pairs = zip(found.rows, found.answers, found.kept, strict=True)
    return [(row, answer) for row, answer, is_kept in pairs if is_kept]


def _report(
    product: Product,
    gold: _Gold,
    teacher: dict[str, Any],
    found: _Found,
    learned: int,
    built: Build,
    usd: float,
) -> dict[str, Any]:
    """Return the figures of distill.json."""
    trial: Mapping[str, Any] = next(
        (t for t in built.report["trials"] if t["rung"] == built.report["winner"]), {"usd_per_1k": 0.0}
    )
    certificate = built.report["certificate"]
    student_usd = float(trial["usd_per_1k"])
    saved = (teacher["usd_per_1k"] - student_usd) / 1000
    return {
        "product": product.name,
        "teacher": teacher,
        "asked": {
            "labels": len(found.rows), "rounds": len(found.curve), "usd": round(usd, 6), "why": found.why,
            "dropped": len(found.rows) - learned,
        },
        "curve": list(found.curve),
        "gold": {"train": len(gold.train), "certification": len(gold.certification)},
        "student": {
            "rung": built.report["winner"], "usd_per_1k": student_usd,
            "certificate": certificate["claim"] if certificate else None,
        },
        "break_even_rows": math.ceil(usd / saved) if saved > 0 else None,
    }  # fmt: skip
