"""Live progress of a build: one line per finished step and the current activity; plain lines when piped."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import click
from rich.markup import escape
from rich.status import Status

from rung.cli.downloads import progress_text
from rung.cli.options import console
from rung.core.download_progress import watched
from rung.core.messages import duration, has_message, listed, metric_name, money, percent, say, say_or
from rung.core.messages.sentences import in_language
from rung.core.unavailable import reason_text
from rung.pages.data_notes import data_notes
from rung.pages.findings import finding_title
from rung.pages.races import race_values, raced_out_text

if TYPE_CHECKING:
    from rung.building.offer_weights import WeightsOffer


class Progress:
    """A listener for a run's events. Prints to standard error; standard output is for results."""

    def __init__(self, lang: str, quiet: bool = False) -> None:
        self._lang = lang
        self._console = console(stderr=True, quiet=quiet)
        self._status: Status | None = None
        self._remaining = RemainingTime()
        self._started: float | None = None
        self._now = 0.0
        self._fits = 0
        self._lacking = set[str]()
        self._said: set[str] = set()
        self._silent_up_to = 0.0
        self._open = ExitStack()

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._status = self._console.status(say("term.starting", self._lang))
            self._status.start()
            self._open.enter_context(watched(self._show_download))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()
        if self._status:
            self._status.stop()

    def _show_download(self, what: str, size: int, of: int) -> None:
        self._update_status(escape(progress_text(what, size, of, self._lang)))

    def __call__(self, kind: str, facts: dict[str, Any], at: float | None = None) -> None:
        """Show one event. at: Unix time of the event; default: now."""
        self._now = time.time() if at is None else at
        self._started = self._now if self._started is None else self._started
        if kind != "working":
            self._silent_up_to = 0.0
        show = getattr(self, f"_on_{kind}", None)
        if show:
            show(facts)

    def _print_line(self, text: str) -> None:
        self._console.print(f"[dim]{self._now - (self._started or self._now):6.1f} s[/dim]  {text}")

    def _text(self, key: str, **values: Any) -> str:
        return escape(say(f"term.{key}", self._lang, **values))

    def _update_status(self, text: str) -> None:
        if self._status:
            left = self._remaining.seconds(self._now)
            more = f" [dim]({self._text('left', time=duration(left, self._lang))})[/dim]" if left else ""
            self._status.update(text + more)

    def _on_run(self, facts: dict[str, Any]) -> None:
        self._print_line(self._text("run", folder=facts["folder"]))

    def _on_step(self, facts: dict[str, Any]) -> None:
        name = facts["name"]
        if facts["state"] == "kept":
            self._print_line(f"[dim]{self._text('kept', name=name)}[/dim]")
        elif facts["state"] == "begun":
            self._fits = 0
            kind, _, of = name.partition("/")
            known = has_message(f"step.{kind}", self._lang)
            self._update_status(
                escape(say(f"step.{kind}", self._lang, name=of))
                if known
                else self._text("working", name=name)
            )

    def _on_data(self, facts: dict[str, Any]) -> None:
        left_out = listed(
            (
                say("term.excluded", self._lang, n=n, reason=say_or(f"reason.{reason}", self._lang, reason))
                for reason, n in facts["quarantined"].items()
            ),
            self._lang,
        )
        counted = {key: facts[key] for key in ("rows", "train", "certification")}
        self._print_line(self._text("data", **counted, left_out=left_out or say("term.nothing", self._lang)))
        for note in data_notes(facts, self._lang):
            self._print_line(f"[dim]{escape(note)}[/dim]")

    def _on_findings(self, facts: dict[str, Any]) -> None:
        for finding in facts["findings"]:
            colour = {"stop": "red", "warn": "yellow"}.get(finding["level"], "dim")
            self._print_line(f"[{colour}]{escape(finding_title(finding, self._lang))}[/{colour}]")

    def _on_ladder(self, facts: dict[str, Any]) -> None:
        self._remaining.plan({rung["rung"]: rung["fit_seconds"] for rung in facts["rungs"]}, self._now)
        self._print_line(self._text("ladder", rungs=" < ".join(rung["rung"] for rung in facts["rungs"])))

    def _on_weights(self, facts: dict[str, Any]) -> None:
        for item in facts["missing"]:
            size = f"{item['size_mb']:.0f}"
            rungs = listed(item["rungs"], self._lang)
            self._lacking.update(item["rungs"])
            text = self._text("weights", rungs=rungs, name=item["name"], size=size, licence=item["licence"])
            self._print_line(f"[yellow]{text}[/yellow]")

    def _on_fetched(self, facts: dict[str, Any]) -> None:
        self._print_line(self._text("fetched", name=facts["weights"]))

    def _on_fetch_failed(self, facts: dict[str, Any]) -> None:
        text = self._text("fetch_failed", name=facts["weights"], problem=facts["problem"])
        self._print_line(f"[yellow]{text}[/yellow]")

    def ask_fetch(self, missing: Sequence[WeightsOffer]) -> bool:
        """Return whether the user wants the weights; asks only on an interactive terminal."""
        if not (self._console.is_terminal and sys.stdin.isatty()):
            return False
        if self._status:
            self._status.stop()
        size = f"{sum(offer.size_mb for offer in missing):.0f}"
        wanted = click.confirm(say("term.ask_fetch", self._lang, size=size), default=True, err=True)
        if self._status:
            self._status.start()
        return wanted

    def _on_fit(self, facts: dict[str, Any]) -> None:
        self._fits += 1
        planned = duration(self._remaining.planned.get(facts["rung"], 0.0), self._lang)
        self._update_status(
            self._text("fit", rung=facts["rung"], n=self._fits, rows=facts["rows"], planned=planned)
        )

    def _on_progress(self, facts: dict[str, Any]) -> None:
        shown = {key: facts[key] for key in ("rung", "job", "step", "total")}
        metrics = "".join(f"  {name} {value:.4g}" for name, value in facts["metrics"].items())
        self._update_status(self._text("progress", **shown) + escape(metrics))

    def _on_working(self, facts: dict[str, Any]) -> None:
        text = escape(activity_text(facts, self._lang))
        self._update_status(text)
        if self._status is None and facts["seconds"] >= self._silent_up_to:
            # Piped: a line now and then, further and further apart.
            self._silent_up_to = 2 * facts["seconds"]
            self._print_line(f"[dim]{text}[/dim]")

    def _on_race(self, facts: dict[str, Any]) -> None:
        if not facts["lost"]:
            line = self._text("raced", rung=facts["rung"], **race_values(facts))
            self._print_line(f"[dim]{line}[/dim]")

    def _on_failed(self, facts: dict[str, Any]) -> None:
        self._remaining.skip(facts["rung"])
        said = (
            in_language(facts["problem"], self._lang).rstrip(".。"),
            in_language(facts["fix"], self._lang),
        )
        problem = ("。" if self._lang == "zh" else ". ").join(filter(None, said))
        self._print_line(f"[yellow]{self._text('rung_failed', rung=facts['rung'], problem=problem)}[/yellow]")

    def _on_not_measured(self, facts: dict[str, Any]) -> None:
        what = say(f"term.what_{facts['what']}", self._lang)
        line = self._text("not_measured", what=what, rung=facts["rung"], problem=facts["problem"])
        self._print_line(f"[yellow]{line}[/yellow]")

    def _on_trial(self, facts: dict[str, Any]) -> None:
        self._remaining.finish(facts["rung"], self._now)
        colour = "green" if facts["status"] == "cleared" else "yellow"
        scores = listed(
            (f"{metric_name(name, self._lang)} {value:.4f}" for name, value in facts["scores"].items()),
            self._lang,
        )
        status = say_or(f"status.{facts['status'].replace(' ', '_')}", self._lang, facts["status"])
        price = money(facts["usd_per_1k"] * 1000, self._lang)
        line = self._text("trial", rung=facts["rung"], scores=scores, price=price)
        self._print_line(f"{line}  [{colour}]{escape(status)}[/{colour}]")
        for note in data_notes({"columns_unused": facts.get("columns_unused", {})}, self._lang):
            if note not in self._said:
                self._said.add(note)
                self._print_line(f"[dim]{escape(note)}[/dim]")

    def _on_certificate(self, facts: dict[str, Any]) -> None:
        found = facts["certificate"]
        if not found:
            self._print_line(self._text("failed", rung=facts["rung"]))
            return
        bound, confidence = f"{found['bound']:g}", percent(found["confidence"])
        metric = found["metric"]
        self._print_line(
            self._text("certified", rung=facts["rung"], metric=metric, bound=bound, confidence=confidence)
        )

    def _on_tracking(self, facts: dict[str, Any]) -> None:
        if facts["state"] == "done":
            self._print_line(self._text("tracked", where=facts["where"]))
            return
        # Printed even with quiet: a requested output is missing.
        key = "track_lost" if facts["state"] == "lost" else "track_failed"
        text = self._text(key, where=facts["where"], problem=facts["problem"])
        console(stderr=True).print(f"[yellow]{text}[/yellow]")

    def _on_skipped(self, facts: dict[str, Any]) -> None:
        self._remaining.skip(facts["rung"])
        if facts["rung"] in self._lacking:
            return  # Said with the weights that it lacks.
        reason = facts.get("reason")
        why = (
            reason_text(reason, self._lang)
            if reason
            else raced_out_text(facts["race"], self._lang)
            if "race" in facts
            else say_or(f"skip.{facts.get('key', '')}", self._lang, facts["why"])
        )
        self._print_line(f"[dim]{self._text('skipped', rung=facts['rung'], why=why)}[/dim]")


def activity_text(facts: dict[str, Any], lang: str) -> str:
    """Return what goes on in words: what, how far it has come, for how long nothing else was told, and how long it still takes."""
    what = say_or(f"activity.{facts['what']}", lang, say("activity.working", lang))
    of = f" {facts['done']:,}/{facts['total']:,}" if facts["total"] else ""
    named = say_or(f"finding.{facts['name']}.name", lang, facts["name"]) if facts["name"] else ""
    name = say("activity.of", lang, name=named) if named else ""
    line = say("activity.line", lang, what=f"{what}{of}{name}", time=duration(facts["seconds"], lang))
    left = facts.get("left_seconds")
    return line if left is None else say("activity.left", lang, line=line, time=duration(left, lang))


# Prior: as if so many planned seconds had taken exactly as long, so that the first small rung does not decide the pace.
_PRIOR_SECONDS = 5.0


class RemainingTime:
    """Estimates the seconds left if every rung is climbed: the plan, corrected by the time of the finished rungs."""

    def __init__(self) -> None:
        self.planned: dict[str, float] = {}
        self._done: set[str] = set()
        self._worked = 0.0
        self._last = 0.0

    def plan(self, seconds: dict[str, float], at: float) -> None:
        """Set the planned seconds of one fit of each rung, in climbing order."""
        self.planned, self._last = seconds, at

    def finish(self, rung: str, at: float) -> None:
        """Record that a rung took from the end of the last one until now; a skipped rung is ignored."""
        if rung in self.planned and rung not in self._done:
            self._done.add(rung)
            self._worked += at - self._last
        self._last = at

    def skip(self, rung: str) -> None:
        """Record that a rung will not be climbed."""
        self.planned.pop(rung, None)

    def seconds(self, at: float) -> float:
        """Return the seconds left; 0 when no rung is left or the last one has exceeded its estimate."""
        # A rung takes about three fits, and two seconds to pack and measure.
        weight = {rung: 3 * seconds + 2 for rung, seconds in self.planned.items()}
        done = sum(w for rung, w in weight.items() if rung in self._done)
        pace = (self._worked + _PRIOR_SECONDS) / (done + _PRIOR_SECONDS)
        rest = [w * pace for rung, w in weight.items() if rung not in self._done]
        if not rest:
            return 0.0
        # The current rung has used some of its own time, none of the others'.
        return max(rest[0] - (at - self._last), 0.0) + sum(rest[1:])
