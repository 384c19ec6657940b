"""Turn a look at a table into a product.yaml with a comment beside every guess."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rung.core.model import Ladder, Rung
from rung.core.spec.source_names import without_secrets
from rung.core.stats.confidence_bounds import rows_needed
from rung.core.task import ColumnProfile, Guess
from rung.data.profile.roles import Role

_CHOSEN = "as you chose"


@dataclass(frozen=True)
class Proposal:
    """What a look at the data suggests. ladder: the rungs with planned price and fit time, cheapest first.

    source: as it may be shown. data: the keys of `data` that the user gave, path among them. roles: suggested
    columns for group and time. title: of the task, in words. columns: those it reads and answers. brief: see
    `rung.building.plan_summary`.
    """

    source: str
    rows: int
    rows_are_all: bool
    guesses: tuple[Guess, ...]
    ladder: Ladder
    name: str
    data: Mapping[str, Any]
    roles: Mapping[str, Role]
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

    @property
    def notes(self) -> list[str]:
        """Return why each column has its role, or could have one, as lines."""
        own = [f"{key}: {name}, {_CHOSEN}" for key in ("group", "time") if (name := self.data.get(key))]
        more = [f"{key} could be '{role.column}': it {role.reason}" for key, role in self.roles.items()]
        return [*self.guess.reasons, *own, *more]

    def yaml(self, paths: Sequence[str] = ()) -> str:
        """Return the text of product.yaml; paths: of the data, from the folder it will stand in.

        Passwords are not written: a variable of the environment stands in their place.
        """
        guess = self.guess
        needed = rows_needed(min(self.at_least + 0.03, 1.0), self.at_least, 0.025)
        others = ", ".join(other.task for other in self.guesses[1:]) or "nothing else that rung knows"
        rungs = "\n".join(
            f"#   {r.name}: {r.usd_per_1k:.6f} USD per 1,000 answers, {r.fits} fits of about {_duration(r.planned.fit_seconds)}"
            for r in self.ladder.rungs
        )
        count = f"{self.rows:,}" if self.rows_are_all else f"more than {self.rows:,}"
        return f"""# Written by `rung plan {_comment(self.source)}` after reading {count} rows. Every line is a guess you can change.
name: {_quoted(self.name)}            # names the endpoint: POST /v1/models/{self.name}/predict
task: {guess.task}   # it could also be: {others}
data:
  path: {_listed([without_secrets(path) for path in paths or self.paths])}
{self._reading()}  input: {_listed(guess.inputs)}   # {_comment(guess.reasons[0])}
  target: {_quoted(guess.target)}   # {_comment(guess.reasons[1])}
{self._role("group", "customer_id", "name the column that rows share, if any: people, threads, sites")}
{self._role("time", "created_at", "name the column of dates to certify on the latest rows")}
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

    @property
    def paths(self) -> list[str]:
        """Return where the data is, as the user wrote it."""
        path = self.data["path"]
        return [path] if isinstance(path, str) else list(path)

    def _reading(self) -> str:
        """Return the lines of `data` that say how the source is read."""
        given = {key: self.data[key] for key in ("query", "sheet", "split", "encoding") if self.data.get(key)}
        return "".join(f"  {key}: {_quoted(value)}\n" for key, value in given.items())

    def _role(self, key: str, example: str, meaning: str) -> str:
        """Return the line of group or time: as the user gave it, else a suggestion, behind a `#` unless the rows demand it."""
        if self.data.get(key):
            return f"  {key}: {_quoted(self.data[key])}   # {_CHOSEN}"
        role = self.roles.get(key)
        if role is None:
            return f"  # {key}: {example}   # {meaning}"
        mark = "" if role.decided else "# "
        return f"  {mark}{key}: {_quoted(role.column)}   # it {_comment(role.reason)}"

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
            "roles": {key: asdict(role) for key, role in self.roles.items()},
            "certification_rows": self.certification_rows,
            **self.brief,
            "ladder": [planned | {"expected": told["expected"]} for planned, told in rungs],
        }


def ladder_dicts(ladder: Sequence[Rung]) -> list[dict[str, Any]]:
    """Return rungs as JSON: what each is planned to cost."""
    return [
        {"rung": r.name, "model": r.model, "usd_per_1k": r.usd_per_1k, "fits": r.fits, **asdict(r.planned)}
        for r in ladder
    ]


def _listed(names: Sequence[str]) -> str:
    shown = [_quoted(name) for name in names]
    return shown[0] if len(shown) == 1 else f"[{', '.join(shown)}]"


def _quoted(text: str | int) -> str:
    """Return a YAML scalar of a user's text: JSON strings are YAML strings."""
    if isinstance(text, int):
        return str(text)
    plain = re.fullmatch(r"[A-Za-z][A-Za-z0-9_./-]*", text) and text.casefold() not in _YAML_WORDS
    return text if plain else json.dumps(text, ensure_ascii=False)


def _comment(text: str) -> str:
    """Return a text as one line, so that no cell of the data can write a line of the spec."""
    return " ".join(text.split())


_YAML_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
