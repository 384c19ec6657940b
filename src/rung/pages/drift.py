"""Render drift.html from the report of `rung drift`: what changed, since when, the evidence, and what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rung.core.messages import count, day, join_list, join_sentences, percent, say, significant
from rung.pages.charts import ChartLabels, multi_line_chart, paired_bar_chart
from rung.pages.elements import box, bullets, figure, page, paragraph, section, table, text

# Most lines and comparisons on a page.
_MAX_LINES, _MAX_COMPARISONS = 5, 6
_Y_LIMIT = 2.0


def render(report: Mapping[str, Any], lang: str = "en") -> str:
    """Return the page. It shows only what is in the report; names from data are escaped."""
    title = say("drift.page_title", lang, product=report["model"])
    lead = [f"<h1>{text(title)}</h1>", paragraph(say("drift.title", lang), "lead")]
    lead.append(
        box(
            "".join(paragraph(line) for line in verdict(report, lang)), "bad" if report["drifted"] else "good"
        )
    )
    lead += [paragraph(line, "note") for line in remarks(report, lang)]
    return page(
        lang,
        title,
        ["\n".join(lead), _advice(report, lang), _evidence(report, lang), _compared(report, lang), _history(report, lang)],
    )  # fmt: skip


def verdict(report: Mapping[str, Any], lang: str) -> list[str]:
    """Return sentences on whether there is drift, in what, and since when."""
    period = report["period"]
    if not period["rows"]:
        return [say("drift.nothing", lang)]
    named = {test["key"]: test_name(test, lang) for test in report["tests"]}
    details = [
        say("drift.when", lang, what=named[a["key"]], row=a["rows"], day=_day(a["at"], lang))
        for a in report["alarms"]
    ]
    if not report["drifted"]:
        return [say("drift.none", lang, rows=period["rows"])]
    found = join_list([named[alarm["key"]] for alarm in report["alarms"]], lang, 6)
    return [say("drift.found", lang, what=found), *details[:8]]


def remarks(report: Mapping[str, Any], lang: str) -> list[str]:
    """Return sentences on the data and the error rate, and on what could not be tested."""
    period, feedback = report["period"], report["feedback"]
    found = []
    if period["rows"]:
        found.append(
            say("drift.period", lang, n=period["number"], since=_day(period["first_at"], lang), rows=period["rows"],
                against=reference_name(period["against"], report["reference_rows"], lang))
        )  # fmt: skip
    found.append(
        say(
            "drift.promise",
            lang,
            rate=percent(report["false_alarms"], 2 if report["false_alarms"] < 0.01 else 0),
        )
    )
    if period["repeats"]:
        found.append(say("drift.repeats", lang, n=period["repeats"]))
    found += [say(f"drift.without.{why}", lang, n=n) for why, n in report["without_input"].items()]
    if report["not_watched"]:
        found.append(say("drift.not_watched", lang, names=join_list(report["not_watched"], lang)))
    found += [
        say(f"drift.{kind}", lang, **feedback[kind]) for kind in ("audit", "chosen") if feedback[kind]["rows"]
    ]
    return found


def test_name(test: Mapping[str, Any], lang: str) -> str:
    """Return the display name of a test."""
    return say(f"drift.what.{test['what']}", lang, name=test["name"])


def reference_name(what: str, rows: int, lang: str) -> str:
    """Return the display name of what a period's rows are compared with."""
    return say(f"drift.against_{what}", lang, n=rows)


def observed_mean(test: Mapping[str, Any], lang: str) -> str:
    """Return the observed mean and the expected interval; "" for rank tests and before the first row."""
    if test.get("mean") is None:
        return ""
    mean, low, high = (percent(test[key], 1) for key in ("mean", "low", "high"))
    return say("drift.outside", lang, mean=mean, low=low, high=high)


def alarm_state(test: Mapping[str, Any], lang: str) -> str:
    """Return the state of a test as text: alarm or quiet."""
    return say("drift.alarm" if test["alarmed"] else "drift.quiet", lang)


def format_evidence(powers: float) -> str:
    """Return evidence as a factor: 1.3, 40, 10^6. powers: its log10."""
    return f"10^{powers:.0f}" if powers >= 4 else significant(max(10**powers, 0.01), 2)


def _advice(report: Mapping[str, Any], lang: str) -> str:
    if not report["drifted"]:
        return ""
    lines = [say(f"drift.do_{part}", lang) for part in ("look", "review", "acknowledge")]
    return section("do", say("drift.do_title", lang), bullets(lines))


def _evidence(report: Mapping[str, Any], lang: str) -> str:
    shown = [test for test in report["tests"] if test["trail"]][:_MAX_LINES]
    head = [say(f"drift.{key}", lang) for key in ("test", "rows", "evidence", "needed", "state", "seen")]
    rows = [
        [test_name(t, lang).replace("`", ""), count(t["rows"], lang), format_evidence(t["evidence"]), format_evidence(t["needed"]), alarm_state(t, lang), observed_mean(t, lang)]
        for t in report["tests"]
    ]  # fmt: skip
    numbers = table(head, rows, say("drift.caption", lang))
    if not shown:
        return section("evidence", say("drift.evidence_title", lang), numbers)
    lines = [
        (test_name(t, lang).replace("`", ""), [(rows, value / t["needed"]) for rows, value in [(0, 0.0), *t["trail"]]])
        for t in shown
    ]  # fmt: skip
    words = say("drift.evidence_words", lang)
    labels = ChartLabels(
        say("drift.evidence_title", lang), words, say("drift.evidence_x", lang), say("drift.evidence_y", lang)
    )
    return section(
        "evidence", say("drift.evidence_title", lang), paragraph(words), figure(multi_line_chart(lines, labels, _Y_LIMIT), "", numbers, lang)
    )  # fmt: skip


def _compared(report: Mapping[str, Any], lang: str) -> str:
    shown = [t for t in report["tests"] if t.get("bars") and t["rows"]][:_MAX_COMPARISONS]
    pictures = []
    for test in shown:
        digits = _distinct_digits([bar["name"] for bar in test["bars"]])
        bars = [(_bar_name(bar["name"], digits, lang), bar["expected"], bar["seen"]) for bar in test["bars"]]
        has_reference = any(expected is not None for _, expected, _ in bars)
        title = say(
            "drift.compared" if has_reference else "drift.compared_served", lang, what=test_name(test, lang).replace("`", "")
        )  # fmt: skip
        legend = (say("drift.expected", lang), say("drift.seen", lang))
        picture = paired_bar_chart(bars, ChartLabels(title, title, "", ""), legend)
        numbers = table(
            [say("drift.test", lang), *legend],
            [[n, "" if e is None else percent(e, 1), percent(s, 1)] for n, e, s in bars],
            title,
        )
        pictures.append(figure(picture, title, numbers, lang))
    inner = f'<div class="figures">{"".join(pictures)}</div>' if pictures else ""
    return section("pictures", say("drift.pictures_title", lang), inner)


def _distinct_digits(names: Sequence[Any]) -> int:
    """Return how many significant digits tell the edges of bins apart: 3 to 5."""
    bins = [name for name in names if isinstance(name, Mapping)]
    edges = {name[end] for name in bins for end in ("low", "high") if name[end] is not None}
    return next((d for d in range(3, 5) if len({significant(edge, d) for edge in edges}) == len(edges)), 5)


def _bar_name(found: Any, digits: int, lang: str) -> str:
    if isinstance(found, Mapping):
        low, high = (
            None if found[key] is None else significant(found[key], digits) for key in ("low", "high")
        )
        key = "below" if low is None else "above" if high is None else "between"
        return say(f"drift.{key}", lang, low=low, high=high)
    return say(f"drift.{found}", lang) if found in {"missing", "others"} else str(found)


def _history(report: Mapping[str, Any], lang: str) -> str:
    ended: Sequence[Mapping[str, Any]] = report["ended"]
    if not ended:
        return ""
    head = [say(f"drift.{key}", lang) for key in ("number", "rows", "alarms", "by", "at")]
    rows = [
        [str(line["number"]), count(line["rows"], lang), join_sentences("en", *line["alarms"]), line["acknowledged_by"], _day(line["at"], lang)]
        for line in ended
    ]  # fmt: skip
    return section(
        "history", say("drift.history", lang), table(head, rows, say("drift.history_caption", lang))
    )


def _day(at: float, lang: str) -> str:
    return day(datetime.fromtimestamp(at).date(), lang)
