"""Findings of the data checks in the terminal: problem, impact, fix and a few example rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.markup import escape
from rich.status import Status

from rung.cli.options import console
from rung.cli.working import show_working
from rung.core.messages import join_sentences, listed, say, say_or
from rung.pages.data_notes import data_notes
from rung.pages.findings import finding_text, finding_title, note_text

_COLOURS = {"stop": "red", "warn": "yellow", "info": "bold"}
_MAX_ROWS, _MAX_CHARS = 3, 100


class CheckProgress:
    """Shows the last completed check while checks run, and what goes on when one takes long."""

    def __init__(self, lang: str, quiet: bool = False) -> None:
        self._lang = lang
        self._console = console(stderr=True, quiet=quiet)
        self._status: Status | None = None
        self._open = ExitStack()

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._status = self._console.status(say("term.reading", self._lang))
            self._status.start()
        self._heartbeat = self._open.enter_context(show_working(self._console, self._lang, self._status))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()
        if self._status:
            self._status.stop()

    def __call__(self, check: str) -> None:
        self._heartbeat.heard()
        if self._status:
            name = say_or(f"finding.{check}.name", self._lang, check)
            self._status.update(escape(say("term.checked", self._lang, name=name)))


def print_findings(checked: Mapping[str, Any], files: Sequence[Path], lang: str) -> None:
    """Print every finding, most severe first, and the files written."""
    screen = console()
    facts = checked["data"]
    counted = {key: facts[key] for key in ("rows", "train", "certification")}
    left_out = listed(
        (
            say("term.excluded", lang, n=n, reason=say_or(f"reason.{reason}", lang, reason))
            for reason, n in facts["quarantined"].items()
        ),
        lang,
    )
    screen.print(
        say("term.data", lang, **counted, left_out=left_out or say("term.nothing", lang)), markup=False
    )
    for note in data_notes(facts, lang):
        screen.print(note, markup=False, style="dim")
    for finding in checked["findings"]:
        _print(screen, finding, lang)
    if not checked["findings"]:
        screen.print("\n" + say("findings.none", lang), markup=False)
    if files:
        screen.print("\n" + say("term.wrote", lang, path=listed(map(str, files), lang)), markup=False)


def _print(screen: Any, finding: Mapping[str, Any], lang: str) -> None:
    texts = finding_text(finding, lang)
    colour = _COLOURS[finding["level"]]
    screen.print(f"\n[{colour}]{escape(finding_title(finding, lang))}[/{colour}]")
    screen.print(f"  {texts['what']}", markup=False)
    for part in ("cost", "remedy"):
        screen.print("  " + join_sentences(lang, say(f"findings.{part}", lang), texts[part]), markup=False)
    for item in finding["evidence"][:_MAX_ROWS]:
        excerpt = (
            item["excerpt"] if len(item["excerpt"]) <= _MAX_CHARS else item["excerpt"][: _MAX_CHARS - 1] + "…"
        )
        said = note_text(finding["check"], item["note"], lang)
        note = f" [{said}]" if said else ""
        screen.print(f"    {item['file']}:{item['row']}{note}  {excerpt}", markup=False, style="dim")
