"""Render distill.html: what teacher and student are worth, what they cost, and after how many answers labels pay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rung.core.messages import count, join_list, money, percent, say
from rung.pages.elements import box, page, paragraph, section, table, text


def render(report: Mapping[str, Any], lang: str = "en") -> str:
    """Return the page."""
    title = say("distill.page_title", lang, product=report["product"])
    first, *more = summary(report, lang)
    top = [f"<h1>{text(title)}</h1>", paragraph(first, "lead")]
    top.append(box("".join(map(paragraph, more)), "good" if report["student"]["certificate"] else "warn"))
    rows = [(count(point["labels"], lang), percent(point["accuracy"], 1)) for point in report["curve"]]
    head = (say("distill.labels", lang), say("distill.accuracy", lang))
    curve = table(head, rows, say("distill.curve", lang))
    return page(lang, title, ["\n".join(top), section("curve", say("distill.curve", lang), curve)])


def _made_up(report: Mapping[str, Any], lang: str) -> list[str]:
    """Return what the teacher made up, if it was asked to."""
    made = report.get("synthetic")
    if not made:
        return []
    asked, copies, other = (sum(one[key] for one in made["labels"]) for key in ("asked", "copies", "other"))
    lines = [
        say(
            "distill.synthetic",
            lang,
            rows=made["rows"],
            asked=asked,
            copies=copies,
            other=other,
            n=len(made["labels"]),
        )
    ]
    if made["left_out"]:
        named = join_list(made["left_out"], lang, most=8)
        lines.append(say("distill.synthetic_left_out", lang, n=len(made["left_out"]), named=named))
    return lines


def summary(report: Mapping[str, Any], lang: str) -> list[str]:
    """Return the figures as sentences."""
    teacher, asked, student = report["teacher"], report["asked"], report["student"]
    low, high = teacher["interval"]
    found = [
        say(
            "distill.teacher", lang, name=teacher["name"], right=teacher["right"], rows=teacher["rows"],
            accuracy=percent(teacher["accuracy"], 1), low=percent(low, 1), high=percent(high, 1),
            floor=percent(teacher["floor"], 1),
        ),
        say(
            "distill.asked", lang, asked=asked["labels"], rounds=asked["rounds"], usd=money(asked["usd"], lang, 4),
            dropped=asked["dropped"], why=say(f"distill.why_{asked['why']}", lang),
        ),
        *_made_up(report, lang),
        say("distill.student", lang, rung=student["rung"], gold=report["gold"]["train"]),
    ]  # fmt: skip
    claim = student["certificate"]
    found.append(say("distill.certified", lang, claim=claim) if claim else say("distill.not_certified", lang))
    prices = {key: money(report[key]["usd_per_1k"], lang, 4) for key in ("teacher", "student")}
    found.append(say("distill.price", lang, **prices))
    even = report["break_even_rows"]
    key = "never" if even is None else "free" if even == 0 else "even"
    found.append(say(f"distill.{key}", lang, rows=even))
    return [*found, say("distill.made", lang)]
