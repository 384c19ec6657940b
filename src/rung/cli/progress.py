"""Live progress of a build: one line a finished step, and what is going on now; plain lines when piped."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.markup import escape
from rich.status import Status


class Progress:
    """A listener for a run's events. Prints to standard error, so that standard output stays for results."""

    def __init__(self, quiet: bool = False) -> None:
        self._console = Console(stderr=True, quiet=quiet, highlight=False)
        self._status: Status | None = None
        self._planned: dict[str, float] = {}
        self._fits = 0
        self._begun = time.monotonic()

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._status = self._console.status("starting")
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status:
            self._status.stop()

    def __call__(self, kind: str, facts: dict[str, Any]) -> None:
        """Show one event."""
        show = getattr(self, f"_on_{kind}", None)
        if show:
            show(facts)

    def _line(self, text: str) -> None:
        self._console.print(f"[dim]{time.monotonic() - self._begun:6.1f} s[/dim]  {text}", soft_wrap=True)

    def _now(self, text: str) -> None:
        if self._status:
            self._status.update(text)

    def _on_run(self, facts: dict[str, Any]) -> None:
        self._line(f"run {escape(facts['folder'])}")

    def _on_step(self, facts: dict[str, Any]) -> None:
        if facts["state"] == "kept":
            self._line(f"[dim]{facts['name']}: whole already, kept[/dim]")
        elif facts["state"] == "begun":
            self._fits = 0
            self._now("reading and splitting the data" if facts["name"] == "data" else facts["name"])

    def _on_data(self, facts: dict[str, Any]) -> None:
        left_out = (
            ", ".join(f"{reason} {count:,}" for reason, count in facts["quarantined"].items()) or "none"
        )
        self._line(
            f"data: {facts['rows']:,} rows; {facts['train']:,} train, {facts['certification']:,} certify; quarantined: {left_out}"
        )

    def _on_ladder(self, facts: dict[str, Any]) -> None:
        self._planned = {rung["rung"]: rung["fit_seconds"] for rung in facts["rungs"]}
        self._line("ladder: " + " < ".join(self._planned))

    def _on_fit(self, facts: dict[str, Any]) -> None:
        self._fits += 1
        planned = self._planned.get(facts["rung"], 0.0)
        self._now(
            f"{facts['rung']}: fit {self._fits} on {facts['rows']:,} rows, about {planned:.0f} s planned"
        )

    def _on_trial(self, facts: dict[str, Any]) -> None:
        colour = "green" if facts["status"] == "cleared" else "yellow"
        scores = ", ".join(f"{escape(name)} {value:.4f}" for name, value in facts["scores"].items())
        self._line(
            f"{facts['rung']}: {scores}; {facts['usd_per_1k']:.7f} USD / 1k  [{colour}]{facts['status']}[/{colour}]"
        )

    def _on_certificate(self, facts: dict[str, Any]) -> None:
        found = facts["certificate"]
        text = (
            f"certified: {escape(found['metric'])} {found['bound']:g} at {found['confidence']:.4g}"
            if found
            else "the look failed"
        )
        self._line(f"{facts['rung']}: {text}")

    def _on_skipped(self, facts: dict[str, Any]) -> None:
        self._line(f"[dim]{facts['rung']}: not tried, {escape(facts['why'])}[/dim]")
