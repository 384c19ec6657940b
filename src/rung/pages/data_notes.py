"""Sentences on how the data was read: what was decided for a column, and what was left out, merged or mended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rung.core.messages import join_list, say

# The facts of prepared data that these sentences are about.
NOTE_KEYS = ("formats", "columns_left_out", "without_group", "missing_words", "settled", "dialects")
# What readers of images with boxes count.
_OF_BOXES = (
    "crowds", "polygons", "images_without_file", "classes_without_names", "annotations_without_image", "unknown_annotations",
    "images_without_text",
)  # fmt: skip


def data_notes(facts: Mapping[str, Any], lang: str) -> list[str]:
    """Return the sentences. facts: of prepared data, or `report["data"]`; older ones have none of the keys."""
    return [
        *_dialects(facts.get("dialects", {}), lang),
        *_formats(facts.get("formats", {}), lang),
        *_left_out(facts.get("columns_left_out", {}), lang),
        *_left_out(facts.get("columns_unused", {}), lang),
        *(
            say("data_notes.missing_word", lang, word=word, n=n)
            for word, n in facts.get("missing_words", {}).items()
        ),
        *(say(f"data_notes.{what}", lang, n=n) for what, n in facts.get("settled", {}).items()),
    ]


def left_out_notes(report: Mapping[str, Any], lang: str) -> list[str]:
    """Return a sentence for each column that the winner, or the last rung fitted, leaves out of its features."""
    trials = report["trials"]
    chosen = next((t for t in trials if t["rung"] == report["winner"]), trials[-1] if trials else {})
    return list(_left_out((chosen.get("chosen") or {}).get("left_out") or {}, lang))


def _left_out(columns: Mapping[str, str], lang: str) -> Iterator[str]:
    for column, reason in columns.items():
        yield say("data_notes.left_out", lang, column=column, reason=_reason(reason, lang))


def _reason(reason: str, lang: str) -> str:
    known = {
        "an id: it differs in every row": "id", "the same in every row": "constant", "empty in every row": "empty",
    }  # fmt: skip
    key = known.get(reason)
    return say(f"data_notes.{key}", lang) if key else reason.partition(": ")[2] or reason


def _dialects(dialects: Mapping[str, Mapping[str, Any]], lang: str) -> Iterator[str]:
    for file, notes in dialects.items():
        if notes.get("skipped_lines"):
            yield say("data_notes.skipped_lines", lang, file=file, n=notes["skipped_lines"])
        if notes.get("unpacked"):
            yield say("data_notes.unpacked", lang, file=file, n=notes["unpacked"])
        if notes.get("passed_over"):
            yield say("data_notes.passed_over", lang, file=file, n=notes["passed_over"])
        if notes.get("header_rows"):
            yield say(
                "data_notes.header_rows",
                lang,
                file=file,
                rows=join_list(list(map(str, notes["header_rows"])), lang),
            )
        if notes.get("row_names"):
            yield say("data_notes.row_names", lang, file=file)
        if notes.get("escaped_quotes"):
            yield say("data_notes.escaped_quotes", lang, file=file)
        if notes.get("sheet"):
            yield say(
                "data_notes.sheet",
                lang,
                file=file,
                sheet=notes["sheet"],
                others=join_list([_sheet(name, notes, lang) for name in notes["others"]], lang),
            )
        if notes.get("error_cells"):
            yield say("data_notes.error_cells", lang, file=file, n=notes["error_cells"])
        for what in _OF_BOXES:
            if notes.get(what):
                yield say(f"data_notes.{what}", lang, file=file, n=notes[what])
        quotes = notes.get("stray_quotes")
        if quotes:
            lines = ", ".join(map(str, quotes["lines"])) + (
                ", ..." if quotes["count"] > len(quotes["lines"]) else ""
            )
            yield say("data_notes.stray_quotes", lang, file=file, n=quotes["count"], lines=lines)


def _sheet(name: str, notes: Mapping[str, Any], lang: str) -> str:
    is_hidden = name in notes.get("hidden", ())
    return say("data_notes.hidden_sheet", lang, sheet=name) if is_hidden else name


def _formats(formats: Mapping[str, Mapping[str, Any]], lang: str) -> Iterator[str]:
    for column, found in formats.items():
        parts = list(_format_parts(found, lang))
        if parts:
            yield say("data_notes.format", lang, column=column, what=join_list(parts, lang))


def _format_parts(found: Mapping[str, Any], lang: str) -> Iterator[str]:
    if found.get("boolean"):
        yield say("data_notes.boolean", lang)
    if found.get("clock"):
        yield say("data_notes.clock", lang)
    if found.get("decimal"):
        yield say("data_notes.decimal", lang)
    if found.get("unit"):
        yield say("data_notes.unit", lang, unit=found["unit"])
    for unit, factor in found.get("units", {}).items():
        yield say("data_notes.converted", lang, unit=unit, factor=f"{factor:g}")
    if found.get("currency"):
        yield say("data_notes.currency", lang, currency=found["currency"].upper())
    for letter in found.get("suffixes", ""):
        yield say(
            "data_notes.suffix",
            lang,
            letter=letter,
            factor={"k": "1,000", "m": "1,000,000"}.get(letter, "1e9"),
        )
    if found.get("order"):
        yield say(f"data_notes.{found['order']}", lang)
    if found.get("words"):
        yield say("data_notes.words", lang, words=join_list([f"'{word}'" for word in found["words"]], lang))
