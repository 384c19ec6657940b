"""Turn a look at a table into a product.yaml with a comment beside every guess."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rung.core.bounds import rows_needed
from rung.core.model import Ladder, Rung
from rung.core.task import ColumnProfile, Guess


@dataclass(frozen=True)
class Proposal:
    """What a look at the data suggests. ladder: the rungs with planned price and fit time, cheapest first.

    title: of the task, in words. columns: those it reads and answers. brief: see `rung.stages.brief`.
    """

    source: str
    rows: int
    rows_are_all: bool
    guesses: tuple[Guess, ...]
    ladder: Ladder
    name: str
    title: str
    columns: tuple[ColumnProfile, ...]
    brief: Mapping[str, Any]

    @property
    def guess(self) -> Guess:
        return self.guesses[0]

    @property
    def at_least(self) -> float:
        """Return the level proposed for the bar."""
        return float(self.brief["bar"]["at_least"])

    @property
    def certification_rows(self) -> int:
        """Return how many rows would certify: clamp(400 / n, 0.1, 0.3) of those that can be used."""
        return int(self.brief["certificate"]["rows"])

    def yaml(self, path: str | None = None) -> str:
        """Return the text of product.yaml; path: of the data, from the folder it will stand in."""
        guess = self.guess
        inputs = [_quoted(name) for name in guess.inputs]
        shown = inputs[0] if len(inputs) == 1 else f"[{', '.join(inputs)}]"
        needed = rows_needed(min(self.at_least + 0.03, 1.0), self.at_least, 0.025)
        others = ", ".join(other.task for other in self.guesses[1:]) or "nothing else that rung knows"
        rungs = "\n".join(
            f"#   {r.name}: {r.usd_per_1k:.6f} USD per 1,000 answers, about {_duration(r.planned.fit_seconds)} a fit"
            for r in self.ladder.rungs
        )
        count = f"{self.rows:,}" if self.rows_are_all else f"more than {self.rows:,}"
        return f"""# Written by `rung plan {_comment(self.source)}` after reading {count} rows. Every line is a guess you can change.
name: {_quoted(self.name)}            # names the endpoint: POST /v1/models/{self.name}/predict
task: {guess.task}   # it could also be: {others}
data:
  path: {_quoted(path or self.source)}
  input: {shown}   # {_comment(guess.reasons[0])}
  target: {_quoted(guess.target)}   # {_comment(guess.reasons[1])}
  # group: customer_id   # name the column that rows share, if any: people, threads, sites
  # time: created_at     # name the column of dates to certify on the latest rows
bar:
  metric: {self.brief["bar"]["metric"]}
  at_least: {self.at_least:g}   # what an error costs you decides; a model 3 points better needs about {needed} rows to prove it
  confidence: 0.95
# limits: {{latency_ms: 20, size_mb: 50, usd_per_1k: 0.01}}
budget:
  effort: 2   # 0 to 5
# About {self.certification_rows:,} rows will be set aside to certify; no choice ever reads them.
# The ladder, cheapest answer first; the build stops at the first rung that clears the bar:
{rungs}
"""

    def as_dict(self) -> dict[str, Any]:
        """Return the proposal as plan.json and `--json` hold it."""
        rungs = zip(ladder_dicts(self.ladder.rungs), self.brief["ladder"], strict=True)
        return {
            "name": self.name,
            "title": self.title,
            "source": self.source,
            "rows": self.rows,
            "rows_are_all": self.rows_are_all,
            "columns": [asdict(column) for column in self.columns],
            "guesses": [asdict(guess) for guess in self.guesses],
            "certification_rows": self.certification_rows,
            **self.brief,
            "ladder": [planned | {"expected": told["expected"]} for planned, told in rungs],
        }


def ladder_dicts(ladder: Sequence[Rung]) -> list[dict[str, Any]]:
    """Return rungs as JSON: what each is planned to cost."""
    return [
        {"rung": r.name, "model": r.model, "usd_per_1k": r.usd_per_1k, **asdict(r.planned)} for r in ladder
    ]


def _quoted(text: str) -> str:
    """Return a YAML scalar of a user's text: JSON strings are YAML strings."""
    plain = re.fullmatch(r"[A-Za-z][A-Za-z0-9_./-]*", text) and text.casefold() not in _YAML_WORDS
    return text if plain else json.dumps(text, ensure_ascii=False)


def _comment(text: str) -> str:
    """Return a text as one line, so that no cell of the data can write a line of the spec."""
    return " ".join(text.split())


_YAML_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
