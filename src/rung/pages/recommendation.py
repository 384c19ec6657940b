"""The report's section on lists of suggestions: by history length, by how much users did, and over a cut in time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rung.core.messages import join_sentences, say
from rung.pages.elements import paragraph, section, table
from rung.pages.quality import evaluation_source


def recommendation_section(report: Mapping[str, Any], lang: str) -> str:
    """Return the section; "" for a product that suggests nothing."""
    found = report["details"].get("recommendation")
    if not found:
        return ""
    source = evaluation_source(report, lang)
    lengths = [
        [str(row["length"]) if row["length"] else say("recommendation.whole", lang), *_cells(row)]
        for row in found["by_length"]
    ]
    groups = [
        [say(f"recommendation.{row['group']}", lang, least=row["least"], most=row["most"]), *_cells(row)]
        for row in found["by_user_group"]
    ]
    columns = [say(f"recommendation.{name}", lang) for name in ("rows", "ours", "popular", "lift")]
    return section(
        "recommendation",
        say("recommendation.title", lang),
        table([say("recommendation.length", lang), *columns], lengths, say("recommendation.by_length", lang)),
        table([say("recommendation.group", lang), *columns], groups, say("recommendation.by_group", lang)),
        _rules(found, lang),
        paragraph(
            join_sentences(lang, *_notes(report, found, lang), say("recommendation.read", lang), source),
            "note",
        ),
    )


def _rules(found: Mapping[str, Any], lang: str) -> str:
    """Return what each rule does to the metric by itself; "" for a product with fewer than two."""
    rules = found.get("rules", {})
    if len(rules.get("each", ())) < 2:
        return ""
    rows = [
        [say(f"recommendation.rule_{each['rule']}", lang), f"{each['ndcg']:.4f}", f"{each['ndcg'] - rules['without']:+.4f}"]
        for each in rules["each"]
    ]  # fmt: skip
    columns = [say(f"recommendation.{name}", lang) for name in ("rule", "alone", "effect")]
    return table(columns, rows, say("recommendation.each_rule", lang))


def _cells(row: Mapping[str, Any]) -> Sequence[str]:
    ours, popular = row["ndcg"], row["popular"]
    return f"{row['rows']:,}", f"{ours:.4f}", f"{popular:.4f}", f"{ours - popular:+.4f}"


def _notes(report: Mapping[str, Any], found: Mapping[str, Any], lang: str) -> list[str]:
    """Return what rules cost, and what a cut in time shows."""
    notes = []
    if rules := found.get("rules"):
        shown = {"with": f"{rules['with']:.4f}", "without": f"{rules['without']:.4f}"}
        notes.append(say("recommendation.rules", lang, **shown))
    cut = report.get("study", {}).get("time_cut", {})
    if cut.get("scores"):
        ours, lift = cut["scores"]["ndcg@10"], cut["scores"]["lift@10"]
        figures = {"ours": f"{ours:.4f}", "popular": f"{ours - lift:.4f}"}
        notes.append(say("recommendation.time_cut", lang, when=cut["when"], n=cut["rows"], **figures))
    return notes
