"""Detection and false alarms of the check `related_rows`: `python benchmarks/related_rows.py [planted|honest|real]` writes results/related_rows.md.

Planted: families of rows with one label each, drawn at random, so that every score above chance is knowledge of the
family. The mechanisms marked "kept out" were written after the check was finished, and the check was not changed
afterwards. Honest: generated rows whose label follows from their content, and the real sets of the other benchmarks.
"""

from __future__ import annotations

import math
import platform
import random
import string
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import sets
import tabular_data
from leaderboard import header, row, write_section

from data import bbc
from rung.data.profile.related import Related, RowTable, related

RESULTS = Path(__file__).parent / "results" / "related_rows.md"
HEAD = """# Related rows

Written by `python benchmarks/related_rows.py`. Detection of planted families and false alarms of the check `related_rows`, one run a seed.
"""
SEEDS, PLANTED_SEEDS = 10, 5
ROWS = 10_000
LETTERS = random.Random(0)
WORDS = ["".join(LETTERS.choices(string.ascii_lowercase, k=LETTERS.randint(3, 9))) for _ in range(3_000)]
WEIGHTS = [1 / (rank + 8) for rank in range(len(WORDS))]
Rows = tuple[list[str], dict[str, list[object]], list[int]]


def sentence(draw: random.Random, words: int) -> list[str]:
    """Return words as frequent as in a language."""
    return draw.choices(WORDS, WEIGHTS, k=words)


def _texts(make: Callable[[random.Random, list[str]], list[str]]) -> Callable[[int, int, int], Rows]:
    def planted(rows: int, size: int, seed: int) -> Rows:
        draw = random.Random(seed)
        own = [sentence(draw, 16) for _ in range(-(-rows // size))]
        family = [place // size for place in range(rows)]
        return [" ".join(make(draw, own[number])) for number in family], {}, family

    return planted


def template(draw: random.Random, own: list[str]) -> list[str]:
    """Other names stand in a template: every second word is filled in."""
    return [word for pair in zip(own[:10], sentence(draw, 10), strict=True) for word in pair]


def shuffled(draw: random.Random, own: list[str]) -> list[str]:
    """The same words in another order, and three others."""
    return draw.sample(own, len(own)) + sentence(draw, 3)


def rewritten(draw: random.Random, own: list[str]) -> list[str]:
    """Nearly half of the words are replaced."""
    return [word if draw.random() < 0.55 else sentence(draw, 1)[0] for word in own]


def shared_number(draw: random.Random, own: list[str]) -> list[str]:
    """Only the number of a ticket is shared."""
    number = sum(map(ord, "".join(own))) * 7919 % 10**6
    return [*sentence(draw, 6), f"ref{number}", *sentence(draw, 6)]


def misread(draw: random.Random, own: list[str]) -> list[str]:
    """Kept out: a quarter of the words is missing, one letter in eight misread, three words are new."""
    kept = [word for word in own if draw.random() < 0.75]
    wrong = [
        "".join(c if draw.random() > 0.125 else draw.choice(string.ascii_lowercase) for c in w) for w in kept
    ]
    return wrong + sentence(draw, 3)


def _table(
    columns: Callable[[np.random.Generator, np.ndarray], Sequence[Sequence[object]]],
) -> Callable[[int, int, int], Rows]:
    def planted(rows: int, size: int, seed: int) -> Rows:
        rng = np.random.default_rng(seed)
        family = np.arange(rows) // size
        return [], {f"c{i}": list(column) for i, column in enumerate(columns(rng, family))}, family.tolist()

    return planted


def repeated_features(rng: np.random.Generator, family: np.ndarray) -> Sequence[Sequence[object]]:
    """Five numbers of a customer repeat, five others differ in each row."""
    own, n = rng.normal(size=(family.max() + 1, 5)).round(3), len(family)
    return np.c_[own[family], rng.normal(size=(n, 5)).round(3)].T.tolist()


def repeated_categories(rng: np.random.Generator, family: np.ndarray) -> Sequence[Sequence[object]]:
    """Six categories of a customer repeat, of eight values each; four others differ."""
    own, n = rng.integers(0, 8, (family.max() + 1, 6)), len(family)
    return [[f"v{cell}" for cell in column] for column in np.c_[own[family], rng.integers(0, 8, (n, 4))].T]


def noisy_numbers(rng: np.random.Generator, family: np.ndarray) -> Sequence[Sequence[object]]:
    """Six measurements of a machine, never twice the same."""
    own = rng.normal(size=(family.max() + 1, 6))
    return (own[family] + 0.05 * rng.normal(size=(len(family), 6))).T.tolist()


def shop(rng: np.random.Generator, family: np.ndarray) -> Sequence[Sequence[object]]:
    """One column names the shop, five others say nothing."""
    return [[f"shop-{number}" for number in family], *rng.normal(size=(5, len(family))).round(3).tolist()]


def gaps_and_rounding(rng: np.random.Generator, family: np.ndarray) -> Sequence[Sequence[object]]:
    """Kept out: six numbers of a customer, rounded to one or two digits, two of them empty in each row."""
    own, n = rng.normal(size=(family.max() + 1, 6)) * 3, len(family)
    cells = own[family]
    digits = rng.integers(1, 3, (n, 6))
    cells = np.round(cells * 10.0**digits) / 10.0**digits
    cells[rng.random((n, 6)).argsort(axis=1) < 2] = np.nan
    return cells.T.tolist()


def session_times(rng: np.random.Generator, family: np.ndarray) -> Sequence[Sequence[object]]:
    """Kept out: rows of a session lie within ten minutes of each other; five other numbers say nothing."""
    begin, n = rng.uniform(0, 3e7, family.max() + 1), len(family)
    return [(begin[family] + rng.uniform(0, 600, n)).tolist(), *rng.normal(size=(5, n)).tolist()]


PLANTED: dict[str, Callable[[int, int, int], Rows]] = {
    **{f"text: {make.__name__.replace('_', ' ')}": _texts(make) for make in (template, shuffled, rewritten, shared_number)},
    **{f"table: {make.__name__.replace('_', ' ')}": _table(make) for make in (repeated_features, repeated_categories, noisy_numbers, shop)},
    "text: misread (kept out)": _texts(misread),
    "table: gaps and rounding (kept out)": _table(gaps_and_rounding),
    "table: session times (kept out)": _table(session_times),
}  # fmt: skip


def honest_words(rows: int, seed: int) -> tuple[list[str], dict[str, list[object]], list[object]]:
    """Each label has frequent words of its own."""
    draw = random.Random(seed)
    labels: list[object] = [draw.choice(["a", "b", "c"]) for _ in range(rows)]
    own = {"a": WORDS[30:60], "b": WORDS[50:80], "c": WORDS[70:100]}
    return [" ".join(sentence(draw, 14) + draw.choices(own[str(label)], k=3)) for label in labels], {}, labels


def honest_templates(rows: int, seed: int) -> tuple[list[str], dict[str, list[object]], list[object]]:
    """All texts come from forty templates; what is filled in says the label."""
    draw = random.Random(seed)
    templates = [sentence(draw, 12) for _ in range(40)]
    labels: list[object] = [draw.choice(["a", "b"]) for _ in range(rows)]
    own = {"a": WORDS[300:340], "b": WORDS[340:380]}
    return (
        [" ".join([*draw.choice(templates), *draw.choices(own[str(label)], k=2)]) for label in labels],
        {},
        labels,
    )


def _honest_table(kind: str) -> Callable[[int, int], tuple[list[str], dict[str, list[object]], list[object]]]:
    def made(rows: int, seed: int) -> tuple[list[str], dict[str, list[object]], list[object]]:
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(rows, 6))
        if kind == "customers":
            x[:, :4] = np.repeat(x[: -(-rows // 8), :4], 8, axis=0)[:rows]
        score = {
            "additive": x[:, 0] + np.sin(2 * x[:, 1]),
            "interaction": x[:, 0] * x[:, 1] + 0.2 * x[:, 2],
            "rings": np.sin(3 * np.hypot(x[:, 0], x[:, 1])),
            "customers": x[:, 0] + x[:, 1] + 0.5 * x[:, 4],
        }[kind]
        labels: list[object] = np.where(score + 0.3 * rng.normal(size=rows) > 0, "a", "b").tolist()
        shown = x[:, :2] if kind == "rings" else x
        return [], {f"c{i}": column for i, column in enumerate(shown.round(4).T.tolist())}, labels

    return made


HONEST = {
    "text: words of the label": honest_words,
    "text: forty templates, label filled in": honest_templates,
    "table: additive": _honest_table("additive"),
    "table: interaction": _honest_table("interaction"),
    "table: rings in two numbers": _honest_table("rings"),
    "table: customers of eight rows, label follows from features": _honest_table("customers"),
}


def ask(
    texts: Sequence[str], columns: Mapping[str, Sequence[object]], targets: Sequence[object], seed: int
) -> Related | None:
    """Return the finding on these rows, in a random order. Targets of more than 30 values are numbers."""
    order = np.random.default_rng(seed).permutation(len(targets)).tolist()
    numeric = [name for name, column in columns.items() if _are_numbers(column)]
    cells = {
        name: [float(str(column[i])) if name in numeric and column[i] not in (None, "") else (math.nan if name in numeric else column[i]) for i in order]
        for name, column in columns.items()
    }  # fmt: skip
    distinct = sorted({str(target) for target in targets})
    labels = distinct if len(distinct) <= 30 and not _are_numbers(distinct) or len(distinct) <= 10 else []
    table = RowTable(
        [texts[i] for i in order] if texts else [],
        cells,
        numeric,
        [targets[i] for i in order],
        labels,
        [str(i) for i in order],
    )
    return related(table, dict)


def _are_numbers(column: Sequence[object]) -> bool:
    try:
        return bool([float(str(cell)) for cell in column if cell not in (None, "")])
    except ValueError:
        return False


def planted_section() -> str:
    """Return how many planted sets are found, by mechanism, size and share of rows whose label is the family's."""
    cases = [(400, 8, 1.0), (2_000, 3, 1.0), (2_000, 8, 1.0), (2_000, 25, 1.0), (2_000, 8, 0.5)]
    names = [
        f"{rows:,} rows of {size}" + ("" if share == 1.0 else ", half the labels of the family")
        for rows, size, share in cases
    ]
    lines = [header("mechanism", *names)]
    for name, planted in PLANTED.items():
        cells = []
        for rows, size, share in cases:
            found = 0
            for seed in range(PLANTED_SEEDS):
                texts, columns, family = planted(rows, size, seed)
                rng = np.random.default_rng(seed + 1)
                own = rng.integers(0, 2, max(family) + 1)[family]
                labels = np.where(rng.random(max(family) + 1)[family] < share, own, rng.integers(0, 2, rows))
                found += ask(texts, columns, labels.tolist(), seed) is not None
            cells.append(f"{found} of {PLANTED_SEEDS}")
        lines.append(row(name, *cells))
        print(lines[-1], flush=True)
    return "\n".join(lines)


def honest_section() -> str:
    """Return how many honest generated sets raise a false alarm."""
    lines = [header("rows", "400 rows", "2,000 rows")]
    for name, make in HONEST.items():
        cells = [
            f"{sum(ask(*make(rows, seed), seed) is not None for seed in range(SEEDS))} of {SEEDS}"
            for rows in (400, 2_000)
        ]
        lines.append(row(name, *cells))
        print(lines[-1], flush=True)
    return "\n".join(lines)


def real_section() -> str:
    """Return what the check says of real sets, at most 10,000 rows of each, and what it took."""
    lines = [header("set", "rows", "finding", "CPU s")]
    drawn = random.Random(0)
    cases: list[tuple[str, Sequence[str], Mapping[str, Sequence[object]], Sequence[object]]] = []
    for split in (sets.newsgroups(), sets.ten_of_a_hundred(), sets.rotten_tomatoes(), sets.chinese_reviews()):
        cases.append((split.title, split.train_texts, {}, split.train_labels))
    news = bbc()
    cases.append(("BBC news", [text for text, _ in news], {}, [label for _, label in news]))
    tables = ("credit", "income", "titanic", "disease", "abalone", "rare", "churn", "telco", "houses")
    for table in (getattr(tabular_data, name)() for name in tables):
        read = table.rows()
        columns = {name: [line[name] for line in read] for name in read[0] if name != table.target}
        cases.append((table.title, (), columns, [line[table.target] for line in read]))
    for title, texts, columns, targets in cases:
        kept = sorted(drawn.sample(range(len(targets)), min(len(targets), ROWS)))
        begin = time.process_time()
        found = ask(
            [texts[i] for i in kept] if texts else [],
            {name: [column[i] for i in kept] for name, column in columns.items()},
            [targets[i] for i in kept],
            0,
        )
        said = "quiet" if found is None else f"{found.found.plain:.3f} -> {found.found.clustered:.3f}"
        lines.append(row(title, f"{len(kept):,}", said, f"{time.process_time() - begin:.1f}"))
        print(lines[-1], flush=True)
    return "\n".join(lines)


SECTIONS = {
    "planted": ("Planted families: how many of them are found", planted_section),
    "honest": ("Honest rows: false alarms", honest_section),
    "real": ("Real sets: false alarms and cost", real_section),
}


def main() -> None:
    """Measure and write the sections named on the command line, all of them without one."""
    note = f"{time.strftime('%Y-%m-%d')}, Python {platform.python_version()}, rung {version('rung')}, scipy {version('scipy')}, numpy {np.__version__}; {platform.machine()}, one thread."
    for name in sys.argv[1:] or SECTIONS:
        title, section = SECTIONS[name]
        write_section(RESULTS, HEAD, title, f"{note}\n\n{section()}")


if __name__ == "__main__":
    main()
