"""Turn a look at a table into a product.yaml with a comment beside every guess."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rung.core.messages import duration, join_list, money, say, say_or
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
    `rung.building.plan_summary`. test: where the user's own test part lies, if the data came in parts.
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
    test: str | None = None

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

    def yaml(self, paths: Sequence[str] = (), lang: str = "en", test: str | None = None) -> str:
        """Return the text of product.yaml; paths, test: of the data, from the folder it will stand in. lang: of the comments.

        Passwords are not written: a variable of the environment stands in their place.
        """

        def note(key: str, **values: Any) -> str:
            return "# " + _comment(say(f"yaml.{key}", lang, **values))

        guess = self.guess
        needed = rows_needed(min(self.at_least + 0.03, 1.0), self.at_least, 0.025)
        others = ", ".join(other.task for other in self.guesses[1:])
        rungs = "\n".join(
            note(
                "rung", name=r.name, price=money(r.usd_per_1k * 1000, lang), n=r.fits,
                time=duration(r.planned.fit_seconds, lang), what=say_or(f"family.{r.model}", lang, r.model),
            ).replace("# ", "#   ", 1)
            for r in self.ladder.rungs
        )  # fmt: skip
        written = note("written" if self.rows_are_all else "written_more", source=self.source, rows=self.rows)
        return f"""{written}
name: {quoted(self.name)}            {note("name", name=self.name)}
task: {guess.task}   {note("others", tasks=others) if others else note("only")}
data:
  path: {listed([without_secrets(path) for path in paths or self.paths])}
{self._reading()}  input: {listed(guess.inputs)}   # {_comment(self._input_note(lang))}
{self._answer(lang)}
{self._role("group", "customer_id", lang)}
{self._role("time", "created_at", lang)}
bar:
  metric: {self.brief["bar"]["metric"]}
  at_least: {self.at_least:g}   {note("bar", needed=needed)}
  confidence: 0.95
# limits: {{latency_ms: 20, size_mb: 50, usd_per_1k: 0.01}}
budget:
  effort: 2   {note("effort")}
{self._sections()}{self._certify(test, lang)}
{note("ladder")}
{rungs}
"""

    def _sections(self) -> str:
        """Return the further sections that the task needs, as YAML."""
        lines = []
        for name, section in self.guess.sections.items():
            lines.append(f"{name}:")
            lines += [f"  {key}: {quoted(str(value))}" for key, value in section.items()]
        return "".join(f"{line}\n" for line in lines)

    def _certify(self, test: str | None, lang: str) -> str:
        """Return the lines that say what certifies."""
        path = test or self.test
        key = "test_part" if path else "certify"
        comment = "# " + _comment(say(f"yaml.{key}", lang, rows=self.certification_rows))
        return f"certify:\n  path: {quoted(without_secrets(path))}   {comment}" if path else comment

    def _answer(self, lang: str) -> str:
        """Return the line of the target, or of the columns of 0 and 1 that stand for it."""
        marks = self.brief.get("label_columns")
        if marks:
            note = _comment(say("yaml.label_columns", lang, n=len(marks)))
            return f"  label_columns: {listed(marks)}   # {note}"
        return f"  target: {quoted(self.guess.target)}   # {_comment(self._target_note(lang))}"

    def _input_note(self, lang: str) -> str:
        """Return why the inputs were chosen. Reasons of tasks are in English."""
        reason = self.guess.reasons[0]
        if lang == "en" or reason == _CHOSEN:
            return say("yaml.chosen", lang) if reason == _CHOSEN else reason
        found = [column for column in self.columns if column.name in self.guess.inputs]
        if len(found) != 1:
            return say("yaml.columns", lang, n=len(self.guess.inputs))
        column = found[0]
        return say(
            "scene.why", lang, column=column.name, chars=round(column.mean_chars), distinct=column.distinct
        )

    def _target_note(self, lang: str) -> str:
        reason = self.guess.reasons[1]
        if lang == "en" or reason == _CHOSEN:
            return say("yaml.chosen", lang) if reason == _CHOSEN else reason
        column = next(column for column in self.columns if column.name == self.guess.target)
        examples = join_list([example[:40] for example in column.examples[:3]], lang)
        return say("scene.target", lang, column=column.name, distinct=column.distinct, examples=examples)

    @property
    def paths(self) -> list[str]:
        """Return where the data is, as the user wrote it."""
        path = self.data["path"]
        return [path] if isinstance(path, str) else list(path)

    def _reading(self) -> str:
        """Return the lines of `data` that say how the source is read."""
        given = {key: self.data[key] for key in ("query", "sheet", "split", "encoding") if self.data.get(key)}
        return "".join(f"  {key}: {quoted(value)}\n" for key, value in given.items())

    def _role(self, key: str, example: str, lang: str) -> str:
        """Return the line of group or time: as the user gave it, else a suggestion, behind a `#` unless the rows demand it."""
        if self.data.get(key):
            return f"  {key}: {quoted(self.data[key])}   # {say('yaml.chosen', lang)}"
        role = self.roles.get(key)
        if role is None:
            return f"  # {key}: {example}   # {say(f'yaml.{key}', lang)}"
        mark = "" if role.decided else "# "
        # Reasons are in English.
        reason = f"it {role.reason}" if lang == "en" else say(f"yaml.{key}_found", lang)
        return f"  {mark}{key}: {quoted(role.column)}   # {_comment(reason)}"

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
            "ladder": [
                planned | {key: told[key] for key in ("expected", "seconds")} for planned, told in rungs
            ],
        }


def ladder_dicts(ladder: Sequence[Rung]) -> list[dict[str, Any]]:
    """Return rungs as JSON: what each is planned to cost."""
    return [
        {"rung": r.name, "model": r.model, "usd_per_1k": r.usd_per_1k, "fits": r.fits, **asdict(r.planned)}
        for r in ladder
    ]


def listed(names: Sequence[str]) -> str:
    """Return one name, or a list of them, as YAML."""
    shown = [quoted(name) for name in names]
    return shown[0] if len(shown) == 1 else f"[{', '.join(shown)}]"


def quoted(text: str | int) -> str:
    """Return a YAML scalar of a user's text: JSON strings are YAML strings."""
    if isinstance(text, int):
        return str(text)
    plain = re.fullmatch(r"[A-Za-z][A-Za-z0-9_./-]*", text) and text.casefold() not in _YAML_WORDS
    return text if plain else json.dumps(text, ensure_ascii=False)


def _comment(text: str) -> str:
    """Return a text as one line, so that no cell of the data can write a line of the spec."""
    return " ".join(text.split())


_YAML_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
