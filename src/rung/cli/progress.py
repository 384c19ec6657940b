"""Live progress of a build: one line a finished step, and what is going on now; plain lines when piped."""

from __future__ import annotations

import time
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from rich.markup import escape
from rich.status import Status

from rung.cli.downloads import in_words
from rung.cli.options import console
from rung.core.download_progress import watched
from rung.core.messages import count, duration, metric_name, money, percent, say, say_or
from rung.pages.findings import head


class Progress:
    """A listener for a run's events. Prints to standard error, so that standard output stays for results."""

    def __init__(self, lang: str, quiet: bool = False) -> None:
        self._lang = lang
        self._console = console(stderr=True, quiet=quiet)
        self._status: Status | None = None
        self._left = _TimeLeft()
        self._begun: float | None = None
        self._at = 0.0
        self._fits = 0
        self._open = ExitStack()

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._status = self._console.status(say("term.starting", self._lang))
            self._status.start()
            self._open.enter_context(watched(self._arrives))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()
        if self._status:
            self._status.stop()

    def _arrives(self, what: str, size: int, of: int) -> None:
        self._now(escape(in_words(what, size, of, self._lang)))

    def __call__(self, kind: str, facts: dict[str, Any], at: float | None = None) -> None:
        """Show one event; at: when it happened, where that is not now."""
        self._at = time.time() if at is None else at
        self._begun = self._at if self._begun is None else self._begun
        show = getattr(self, f"_on_{kind}", None)
        if show:
            show(facts)

    def _line(self, text: str) -> None:
        self._console.print(f"[dim]{self._at - (self._begun or self._at):6.1f} s[/dim]  {text}")

    def _say(self, key: str, **values: Any) -> str:
        return escape(say(f"term.{key}", self._lang, **values))

    def _now(self, text: str) -> None:
        if self._status:
            left = self._left.seconds(self._at)
            more = f" [dim]({self._say('left', time=duration(left, self._lang))})[/dim]" if left else ""
            self._status.update(text + more)

    def _on_run(self, facts: dict[str, Any]) -> None:
        self._line(self._say("run", folder=facts["folder"]))

    def _on_step(self, facts: dict[str, Any]) -> None:
        name = facts["name"]
        if facts["state"] == "kept":
            self._line(f"[dim]{self._say('kept', name=name)}[/dim]")
        elif facts["state"] == "begun":
            self._fits = 0
            key = "reading" if name == "data" else "studying" if name.startswith("studies/") else "working"
            self._now(self._say(key, name=name))

    def _on_data(self, facts: dict[str, Any]) -> None:
        left_out = ", ".join(
            f"{say_or(f'reason.{reason}', self._lang, reason)} {count(n, self._lang)}"
            for reason, n in facts["quarantined"].items()
        )
        counted = {key: facts[key] for key in ("rows", "train", "certification")}
        self._line(self._say("data", **counted, left_out=left_out or say("term.nothing", self._lang)))

    def _on_findings(self, facts: dict[str, Any]) -> None:
        for finding in facts["findings"]:
            colour = {"stop": "red", "warn": "yellow"}.get(finding["level"], "dim")
            self._line(f"[{colour}]{escape(head(finding, self._lang))}[/{colour}]")

    def _on_ladder(self, facts: dict[str, Any]) -> None:
        self._left.plan({rung["rung"]: rung["fit_seconds"] for rung in facts["rungs"]}, self._at)
        self._line(self._say("ladder", rungs=" < ".join(rung["rung"] for rung in facts["rungs"])))

    def _on_fit(self, facts: dict[str, Any]) -> None:
        self._fits += 1
        planned = duration(self._left.planned.get(facts["rung"], 0.0), self._lang)
        self._now(self._say("fit", rung=facts["rung"], n=self._fits, rows=facts["rows"], planned=planned))

    def _on_trial(self, facts: dict[str, Any]) -> None:
        self._left.finish(facts["rung"], self._at)
        colour = "green" if facts["status"] == "cleared" else "yellow"
        scores = ", ".join(
            f"{metric_name(name, self._lang)} {value:.4f}" for name, value in facts["scores"].items()
        )
        status = say_or(f"status.{facts['status'].replace(' ', '_')}", self._lang, facts["status"])
        price = money(facts["usd_per_1k"] * 1000, self._lang)
        line = self._say("trial", rung=facts["rung"], scores=scores, price=price)
        self._line(f"{line}  [{colour}]{escape(status)}[/{colour}]")

    def _on_certificate(self, facts: dict[str, Any]) -> None:
        found = facts["certificate"]
        if not found:
            self._line(self._say("failed", rung=facts["rung"]))
            return
        bound, confidence = f"{found['bound']:g}", percent(found["confidence"])
        metric = found["metric"]
        self._line(
            self._say("certified", rung=facts["rung"], metric=metric, bound=bound, confidence=confidence)
        )

    def _on_tracking(self, facts: dict[str, Any]) -> None:
        if facts["state"] == "done":
            self._line(self._say("tracked", where=facts["where"]))
            return
        # Said even where progress is not: what was asked for is missing.
        key = "track_lost" if facts["state"] == "lost" else "track_failed"
        text = self._say(key, where=facts["where"], problem=facts["problem"])
        console(stderr=True).print(f"[yellow]{text}[/yellow]")

    def _on_skipped(self, facts: dict[str, Any]) -> None:
        self._left.skip(facts["rung"])
        why = say_or(f"skip.{facts.get('key', '')}", self._lang, facts["why"])
        self._line(f"[dim]{self._say('skipped', rung=facts['rung'], why=why)}[/dim]")


# Seconds of planned work that count as if they had gone as planned, so that the first small rung does not settle it.
_TRUST = 5.0


class _TimeLeft:
    """Seconds left if every rung is climbed: as planned at first, corrected by how long the finished ones really took."""

    def __init__(self) -> None:
        self.planned: dict[str, float] = {}
        self._done: set[str] = set()
        self._worked = 0.0
        self._last = 0.0

    def plan(self, seconds: dict[str, float], at: float) -> None:
        """Take the planned seconds of one fit of each rung, in the order they are climbed."""
        self.planned, self._last = seconds, at

    def finish(self, rung: str, at: float) -> None:
        """Take that a rung took from the last one's end until now. One that was skipped took nothing and is no news."""
        if rung in self.planned and rung not in self._done:
            self._done.add(rung)
            self._worked += at - self._last
        self._last = at

    def skip(self, rung: str) -> None:
        """Take that a rung will not be climbed."""
        self.planned.pop(rung, None)

    def seconds(self, at: float) -> float:
        """Return the seconds left; 0 when nothing is left, or the last rung has outrun its time."""
        # A rung costs a few fits, and about two seconds to pack and measure.
        weight = {rung: 3 * seconds + 2 for rung, seconds in self.planned.items()}
        done = sum(w for rung, w in weight.items() if rung in self._done)
        pace = (self._worked + _TRUST) / (done + _TRUST)
        rest = [w * pace for rung, w in weight.items() if rung not in self._done]
        if not rest:
            return 0.0
        # The one that is being climbed has used some of its time, never of the others'.
        return max(rest[0] - (at - self._last), 0.0) + sum(rest[1:])
