"""Findings of the data checks, for the report and for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rung.core.messages import count, has_message, join_list, join_sentences, listed, say, say_or
from rung.pages.elements import Html, box, collapsible, paragraph, pictures, section, table, text

# Checks whose notes are words of rung, not of the data.
_NOTED = frozenset({"gibberish", "image_quality", "media_metadata", "personal"})
_BOX = {"stop": "bad", "warn": "warn", "info": "plain"}


def findings_section(report: Mapping[str, Any], lang: str) -> str:
    """Return the section of the report; "" for a report without checks."""
    found = report.get("findings")
    if found is None:
        return ""
    title = say("findings.title", lang)
    more = paragraph(say("findings.more", lang), "note")
    if not found:
        return section("findings", title, paragraph(say("findings.none", lang)), more)
    shown = [_finding_box(finding, lang) for finding in found]
    return section("findings", title, paragraph(say("findings.lead", lang), "note"), *shown, more)


def finding_text(finding: Mapping[str, Any], lang: str) -> dict[str, str]:
    """Return name, what, cost and remedy of a finding.

    Texts of a plugin's check come from the finding itself.
    """
    values = {**finding["values"], "n": finding["rows"], "of": finding["of"]}
    key = f"finding.{finding['check']}"
    if not has_message(f"{key}.what", lang):
        return {"name": finding["check"], "what": "", "cost": "", "remedy": ""} | {
            part: str(values[part]) for part in ("name", "what", "cost", "remedy") if part in values
        }
    if "how" in values:
        values["how"] = say_or(f"finding.leak_how.{values['how']}", lang, values["how"])
    if "reasons" in values:
        counted = [(say_or(f"reason.{reason}", lang, reason), n) for reason, n in values["reasons"].items()]
        values["reasons"] = join_list([f"{reason} ({count(n, lang)})" for reason, n in counted], lang)
    if "kin" in values:
        group, column = values["group"], values["shared"]
        values["kin"] = say(f"finding.kin.{values['kin']}", lang, column=column)
        values["by"] = say("finding.group_found" if group else "finding.group_unknown", lang, group=group)
    if "sides" in values:
        values |= _side_texts(values["sides"], lang)
    if "models" in values:
        values["method"] = _method(values["models"], values["left_out"], lang)
    if finding["check"] in _NOTED and "kinds" in values:
        values["kinds"] = note_text(finding["check"], values["kinds"], lang)
    return {part: say(f"{key}.{part}", lang, **values) for part in ("name", "what", "cost", "remedy")}


def finding_title(finding: Mapping[str, Any], lang: str) -> str:
    """Return the level and name of a finding and the rows it concerns, as in "Warning: Personal data (2 of
    524 rows)".
    """
    rows = say("findings.rows", lang, n=finding["rows"], of=finding["of"])
    level = say(f"findings.level.{finding['level']}", lang)
    if finding.get("accepted"):
        level = f"{level}, {say('findings.accepted', lang)}"
    return say("findings.head", lang, level=level, name=finding_text(finding, lang)["name"], rows=rows)


def note_text(check: str, note: str, lang: str) -> str:
    """Return what a check notes of a row, or counts over rows, in a language: "email 2, phone 1", "blurred"."""
    if lang == "en" or check not in _NOTED:
        return note
    named = []
    for part in note.split(", "):
        name, blank, number = part.rpartition(" ")
        if not number.replace(",", "").isdigit():
            name, blank, number = part, "", ""
        key = name.replace(" ", "_")
        known = say_or(f"personal.{key}", lang, say_or(f"finding.noted.{key}", lang, name))
        named.append(known + blank + number)
    return listed(named, lang)


def evidence_table(finding: Mapping[str, Any], lang: str) -> list[list[str]]:
    """Return file, row, excerpt and note of each row of evidence."""
    return [
        [item["file"], str(item["row"]), item["excerpt"], note_text(finding["check"], item["note"], lang)]
        for item in finding["evidence"]
    ]


def _finding_box(finding: Mapping[str, Any], lang: str) -> str:
    texts = finding_text(finding, lang)
    inner = f"<h3>{text(finding_title(finding, lang))}</h3>" + paragraph(texts["what"])
    for part in ("cost", "remedy"):
        if texts[part]:
            label = say(f"findings.{part}", lang)
            inner += f"<p>{join_sentences(lang, f'<b>{text(label)}</b>', text(texts[part]))}</p>"
    rows = [
        [*row[:2], Html(pictures(item.get("thumbnails", ()), row[2]) + text(row[2])), row[3]]
        for row, item in zip(evidence_table(finding, lang), finding["evidence"], strict=True)
    ]
    if rows:
        names = [say(f"findings.{name}", lang) for name in ("file", "row", "text", "note")]
        caption = say("findings.evidence", lang)
        inner += collapsible(caption, table(names, rows, caption, kind="left"))
    return box(inner, _BOX[finding["level"]])


def _method(models: Mapping[str, str], left_out: Mapping[str, str], lang: str) -> str:
    """Return the models that a finding comes from, and those left out because their weights are not
    installed.
    """
    named = [
        say("finding.read_with", lang, rung=rung, weights=weights) if weights else rung
        for rung, weights in models.items()
    ]
    texts = [say("finding.method", lang, models=join_list(named, lang))]
    if left_out:
        commands = [f"`rung weights fetch {weights}`" for weights in dict.fromkeys(left_out.values())]
        texts.append(
            say(
                "finding.method_without",
                lang,
                rungs=join_list(list(left_out), lang),
                commands=join_list(commands, lang),
            )
        )
    return join_sentences(lang, *texts)


def _side_texts(sides: Sequence[Mapping[str, Any]], lang: str) -> dict[str, str]:
    """Return which parts of the data differ, and by which words."""
    differences, by = [], []
    for side in sides:
        others = say(f"finding.side.{side['side']}", lang)
        differences.append(
            say("finding.told", lang, others=others, right=side["right"], n=side["n"], p=side["p"])
        )
        ours, theirs = (
            listed(side["ours"], lang),
            listed(side["theirs"], lang),
        )
        if ours or theirs:
            by.append(say("finding.told_words", lang, others=others, ours=ours or "–", theirs=theirs or "–"))
    return {"others": join_list(differences, lang), "words": join_sentences(lang, *by)}
