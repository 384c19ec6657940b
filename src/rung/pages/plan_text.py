"""The sentences of a plan, from plan.json, for the terminal and for plan.html."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rung.core.messages import day, duration, has_message, join_list, percent, say, say_or, significant
from rung.core.unavailable import reason_text
from rung.pages.data_notes import data_notes

# The date when the regulations in the messages were last reviewed.
DUTIES_DATE = "2026-11-22"
Plan = Mapping[str, Any]
# In one column of several, shorter cells, or at most this many distinct ones, are values and not prose.
_MIN_PROSE_CHARS, _MAX_CATEGORIES = 25, 50


def task_title(task: str, fallback: str, lang: str) -> str:
    """Return the title of a task. fallback: for a plugin's task."""
    return say_or(f"task.{task}.title", lang, fallback)


def task_lines(plan: Plan, lang: str) -> list[str]:
    """Return the proposed task, its columns with the reasons, and the alternatives."""
    guess = plan["guesses"][0]
    columns = {column["name"]: column for column in plan["columns"]}
    others = [task_title(other["task"], other["task"], lang) for other in plan["guesses"][1:]]
    marks = plan.get("label_columns")
    target = join_list(marks, lang) if marks else guess["target"]
    lines = [
        say("scene.task", lang, title=task_title(guess["task"], plan["title"], lang)),
        say("scene.reads", lang, inputs=join_list(guess["inputs"], lang), target=target),
    ]
    for name in guess["inputs"]:
        found = columns[name]
        values = len(guess["inputs"]) > 1 and (
            found["mean_chars"] < _MIN_PROSE_CHARS or found["distinct"] <= _MAX_CATEGORIES
        )
        if values or name in plan.get("media", ()):
            lines.append(_values_text(found, lang))
            continue
        lines.append(
            say("scene.why", lang, column=name, chars=round(found["mean_chars"]), distinct=found["distinct"])
        )
    if marks:
        lines.append(say("scene.label_columns", lang, n=len(marks)))
    else:
        lines.append(_values_text(columns[guess["target"]], lang))
    lines += data_notes(plan.get("read", {}), lang)
    lines.append(
        say("scene.others", lang, tasks=join_list(others, lang)) if others else say("scene.only", lang)
    )
    first, *more = plan.get("targets") or [None]
    if first and more:
        signals = [_signal_text(choice) for choice in (first, *more)]
        named = [
            say("scene.other_target", lang, column=one["column"], values=one["values"], signal=signal)
            for one, signal in zip(more, signals[1:], strict=True)
        ]
        lines.append(say("scene.targets", lang, columns=join_list(named, lang)))
        lines.append(say("scene.signal", lang, column=first["column"], signal=signals[0]))
    return lines


def _signal_text(choice: Mapping[str, Any]) -> str:
    return "–" if choice["signal"] is None else f"{max(choice['signal'], 0.0):.2f}"


def _values_text(column: Mapping[str, Any], lang: str) -> str:
    """Return the number of distinct values of a column, with examples."""
    examples = join_list([example[:40] for example in column["examples"][:3]], lang)
    return say("scene.target", lang, column=column["name"], distinct=column["distinct"], examples=examples)


def driver_lines(plan: Plan, lang: str) -> list[str]:
    """Return the main driver of the product, the reason for it, and what it requires."""
    found = plan["driver"]
    return [
        say("scene.driver", lang, title=say(f"driver.{found['driver']}", lang)),
        say(f"driver.why_{found['why']}", lang),
        say(f"driver.ask_{found['driver']}", lang),
    ]


def readiness_lines(plan: Plan, lang: str) -> list[tuple[str, str]]:
    """Return (go, slow or stop; a sentence) for each readiness check."""
    return [
        (light["light"], say(f"ready.{light['key']}", lang, **light["values"])) for light in plan["readiness"]
    ]


def ladder_head(plan: Plan, lang: str) -> list[str]:
    """Return the header of the ladder table."""
    names = [say(f"ladder.{name}", lang) for name in ("price", "fits", "fit", "total", "memory", "size")]
    return [say("ladder.rung", lang), say("ladder.expected", lang, metric=plan["bar"]["metric"]), *names]


def ladder_rows(plan: Plan, lang: str) -> list[list[str]]:
    """Return the rows of the ladder table."""
    return [
        [
            rung["rung"],
            "{:.2f}–{:.2f}".format(*rung["expected"]) if rung["expected"] else say("ladder.no_prior", lang),
            significant(rung["usd_per_1k"] * 1000),
            str(rung.get("fits", "")),
            duration(rung["fit_seconds"] * plan.get("time", {}).get("relative", 1.0), lang),
            duration(rung["seconds"], lang) if "seconds" in rung else "",
            f"{rung['memory_mb']:,.0f}",
            f"{rung['size_mb']:,.1f}",
        ]
        for rung in plan["ladder"]
    ]


def time_lines(plan: Plan, lang: str) -> list[str]:
    """Return what a build takes on this machine: up to the first rung that may clear the bar, and in all."""
    found = plan.get("time")
    if not found:
        return []
    whole, more = duration(found["whole_seconds"], lang), not plan["rows_are_all"]
    lines = [say("ladder.time_whole", lang, time=whole)]
    if found["first_rung"]:
        first = duration(found["first_seconds"], lang)
        lines.insert(0, say("ladder.time_first", lang, time=first, rung=found["first_rung"]))
    relative = found["relative"]
    same = 0.85 <= relative <= 1.15
    lines.append(
        say("ladder.time_alike" if same else "ladder.time_machine", lang, relative=f"{relative:.1f}")
    )
    return [*lines, say("ladder.time_more", lang, rows=plan["rows"])] if more else lines


def ladder_notes(plan: Plan, lang: str) -> list[str]:
    """Return the source of the expected scores, and the rungs that were left out."""
    notes = [say("ladder.prior", lang, source=plan["prior"])] if plan["prior"] else []
    without = dict.fromkeys(rung["model"] for rung in plan["ladder"] if not rung["expected"])
    notes += [say(f"prior.{model}", lang) for model in without if has_message(f"prior.{model}", lang)]
    return notes + [
        say("ladder.left_out", lang, rung=left["rung"], why=reason_text(left, lang))
        for left in plan["left_out"]
    ]


def bar_lines(plan: Plan, lang: str) -> list[str]:
    """Return the proposed bar and its reasons."""
    found = plan["bar"]
    level, confidence = f"{found['at_least']:g}", percent(found["confidence"])
    lines = [say("yourbar.proposal", lang, metric=found["metric"], level=level, confidence=confidence)]
    return lines + [say(f"yourbar.{item['key']}", lang, **item["values"]) for item in found["why"]]


def rows_needed(plan: Plan, lang: str) -> list[list[str]]:
    """Return a table of true quality and the certification rows needed to prove the bar."""
    return [
        [f"{item['quality']:g}", f"{item['rows']:,}" if item["rows"] else say("yourbar.never", lang)]
        for item in plan["certificate"]["needed"]
    ]


def certification_rows(plan: Plan, lang: str) -> str:
    """Return the number of certification rows as a sentence."""
    return say("yourbar.have", lang, n=plan["certificate"]["rows"])


def regulation_lines(plan: Plan, lang: str) -> list[tuple[str, list[str]]]:
    """Return (kind, sentences) for each risk that was found in the data or given by the user."""
    found = []
    for duty in plan["duties"]:
        kind = duty["kind"]
        if duty.get("given"):
            seen = say("duties.given", lang)
        elif "name" in duty:
            seen = say("duties.seen_name", lang, name=duty["name"])
        elif "column" in duty:
            seen = say("duties.seen_column", lang, column=duty["column"])
        else:
            seen = say("duties.seen_texts", lang, texts=duty["texts"], of=duty["of"])
        lines = [seen, say(f"duties.{kind}_eu", lang), say(f"duties.{kind}_cn", lang)]
        found.append((say(f"duties.{kind}", lang), lines))
    return found


def regulation_notes(plan: Plan, lang: str) -> list[str]:
    """Return the disclaimer that this is not legal advice, and the sources."""
    none = [] if plan["duties"] else [say("duties.none", lang)]
    date = day(DUTIES_DATE, lang)
    return [
        say("duties.disclaimer", lang, date=date),
        *none,
        say("duties.base", lang),
        say("duties.sources", lang),
    ]


def source_text(plan: Plan, lang: str) -> str:
    """Return the source and the number of rows read."""
    return say(
        "plan.read" if plan["rows_are_all"] else "plan.read_more",
        lang,
        rows=plan["rows"],
        source=plan["source"],
    )
