"""What a contender came to on a case, and the section of the results file that says it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

COLUMNS = (
    "contender",
    "accuracy",
    "fit s",
    "fit, ratio to the first",
    "file to bundle s",
    "test rows/s",
    "bundle MB",
)


@dataclass(frozen=True)
class Result:
    """One contender on one case.

    accuracy: on the test set; None where the fit was cut short. fit_seconds: of one fit on all training rows; ours with
    embeddings ready, a peer's with its encoding. rows_per_s: on the test set. build_seconds: from the file to the saved
    model, scoring folds and encoding included. steps: (done, needed) of a fit whose seconds are extrapolated.
    """

    contender: str
    accuracy: float | None
    fit_seconds: float
    rows_per_s: float
    size_mb: float | None = None
    build_seconds: float | None = None
    steps: tuple[int, int] | None = None


@dataclass(frozen=True)
class Certified:
    """One rung built as a user builds it: rows withheld from training, and what they prove. bound None: none proved."""

    rung: str
    level: float
    withheld: int
    bound: float | None
    accuracy: float
    build_seconds: float


def row(*cells: str) -> str:
    """Return one row of a table."""
    return "| " + " | ".join(cells) + " |"


def header(*names: str) -> str:
    """Return the head of a table."""
    return row(*names) + "\n|" + "---|" * len(names)


def result_row(found: Result, first: float) -> str:
    """Return a contender's row of the table COLUMNS. first: fit seconds of the table's first contender."""
    cut = f" (extrapolated from {found.steps[0]:,} of {found.steps[1]:,} steps)" if found.steps else ""
    return row(
        found.contender,
        "" if found.accuracy is None else f"{found.accuracy:.4f}",
        f"{found.fit_seconds:,.1f}{cut}",
        f"{found.fit_seconds / first:,.2f}",
        "" if found.build_seconds is None else f"{found.build_seconds:,.0f}",
        f"{found.rows_per_s:,.0f}",
        "" if found.size_mb is None else f"{found.size_mb:,.1f}",
    )


def certified_table(found: list[Certified]) -> str:
    """Return the second table of a case."""
    lines = [header("rung", "bar", "rows withheld", "certified bound", "test accuracy", "file to bundle s")]
    for one in found:
        bound = "not cleared" if one.bound is None else f"{one.bound:.3f}"
        lines.append(
            row(
                one.rung,
                f"{one.level:.2f}",
                f"{one.withheld:,}",
                bound,
                f"{one.accuracy:.4f}",
                f"{one.build_seconds:.0f}",
            )
        )
    return "\n".join(lines)


def shares(ours: list[Result], peer: Result) -> str:
    """Return one line: our seconds from file to bundle as shares of a peer's."""
    said = [
        f"{one.contender} {100 * one.build_seconds / peer.build_seconds:.2g} %"
        for one in ours
        if one.build_seconds and peer.build_seconds
    ]
    return f"File to bundle, as a share of {peer.contender}: {', '.join(said)}."


def write_section(path: Path, head: str, title: str, body: str) -> None:
    """Put a case's section into the results file in place of its last one, under this head; keep the others."""
    old = path.read_text(encoding="utf-8") if path.is_file() else ""
    sections = re.split(r"^(?=## )", old, flags=re.MULTILINE)[1:]
    new = f"## {title}\n\n{body.strip()}\n\n"
    places = [i for i, section in enumerate(sections) if section.partition("\n")[0] == f"## {title}"]
    for i in places:
        sections[i] = new
    if not places:
        sections.append(new)
    path.parent.mkdir(exist_ok=True)
    whole = "".join([head.strip() + "\n\n", *(section.strip() + "\n\n" for section in sections)])
    path.write_text(whole.strip() + "\n", encoding="utf-8")
