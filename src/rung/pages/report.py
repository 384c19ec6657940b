"""Render report.html from report.json: one self-contained page, in English or Chinese."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rung.core.errors import install_command
from rung.core.messages import (
    count,
    day,
    has_message,
    join_list,
    join_sentences,
    listed,
    metric_name,
    money,
    percent,
    say,
    say_or,
    significant,
)
from rung.core.messages.sentences import in_language
from rung.pages.architecture import layers_section
from rung.pages.boxes import boxes_section
from rung.pages.cascade import cascade_chart
from rung.pages.cautions import cautions
from rung.pages.charts import ChartLabels, bar_chart, pareto_chart
from rung.pages.cleaning import cleaning_tables
from rung.pages.costs import costs_section
from rung.pages.data_notes import data_notes, left_out_notes
from rung.pages.elements import (
    asset,
    box,
    cards,
    contents,
    figure,
    page,
    paragraph,
    section,
    table,
    text,
)
from rung.pages.families import families
from rung.pages.findings import findings_section
from rung.pages.quality import (
    advice_box,
    calibration_section,
    errors_section,
    evaluation_source,
    explanations_section,
    training_section,
)
from rung.pages.races import race_lines
from rung.pages.reading import reading_section
from rung.pages.recommendation import recommendation_section
from rung.pages.tables import tables_section
from rung.pages.writing import writing_section


def render(report: Mapping[str, Any], lang: str = "en") -> str:
    """Return the page. It shows only what is in report.json; texts from the user's data are escaped."""
    sections = {
        "leaderboard": _leaderboard(report, lang),
        "certificate": _certificate(report, lang),
        "findings": findings_section(report, lang),
        "errors": errors_section(report, lang),
        "boxes": boxes_section(report, lang),
        "reading": reading_section(report, lang),
        "recommendation": recommendation_section(report, lang),
        "writing": writing_section(report, lang),
        "certainty": calibration_section(report, lang),
        "training": training_section(report, lang),
        "layers": layers_section(report, lang),
        "why": explanations_section(report, lang),
        "tables": tables_section(report, lang),
        "data": _data(report, lang),
        "costs": costs_section(report, lang),
        "reproduce": _reproduce(report, lang),
    }
    anchors = [(name, say(f"{name}.title", lang)) for name, html in sections.items() if html]
    title = say("report.page_title", lang, product=report["product"])
    head = [_header(report, lang), contents(anchors, lang)]
    return page(lang, title, [*head, *sections.values()], asset("costs.js"))


def _winner(report: Mapping[str, Any]) -> Mapping[str, Any] | None:
    return next((t for t in report["trials"] if t["rung"] == report["winner"]), None)


def bar_text(report: Mapping[str, Any], lang: str) -> str:
    """Return the bar, such as accuracy ≥ 0.93; in Chinese 准确率 ≥ 0.93."""
    shown = [
        f"{metric_name(c['metric'], lang)} {'≥' if 'at_least' in c else '≤'} {c.get('at_least', c.get('at_most')):g}"
        for c in report["bar"]
    ]
    return " & ".join(shown).replace(" ≥ ", "\u00a0≥\u00a0").replace(" ≤ ", "\u00a0≤\u00a0")


def _header(report: Mapping[str, Any], lang: str) -> str:
    """Return the product in a sentence, the verdict and the five key figures."""
    winner = _winner(report)
    labels = report["details"].get("labels") or list(report["data"]["labels"])
    what = say_or(f"task.{report['task']}.title", lang, report.get("title", report["task"]))
    sentence = say("report.sentence", lang, what=what, rows=report["data"]["train"])
    if labels:
        sentence = join_sentences(
            lang, sentence, say("report.labels", lang, n=len(labels), labels=join_list(labels, lang, most=8))
        )
    stopped = [
        item.get("key", item["check"]) for item in report.get("findings", ()) if item["level"] == "stop"
    ]
    if stopped and not report["cleared"]:
        said = say("report.stopped", lang, n=len(stopped), keys=", ".join(stopped))
        verdict = box(paragraph(said, "lead"), "bad")
    elif report["cleared"]:
        verdict = box(
            paragraph(
                say("report.cleared", lang, rung=report["winner"], wanted=bar_text(report, lang)), "lead"
            ),
            "good",
        )
    elif _is_certificate_not_requested(report):
        verdict = box(paragraph(say("report.unasked", lang, wanted=bar_text(report, lang)), "lead"), "warn")
    else:
        verdict = box(paragraph(say("report.refused", lang, wanted=bar_text(report, lang)), "lead"), "bad")
    built = say("report.built", lang, date=day(report["built"], lang)) if "built" in report else ""
    shown = cards(_key_figures(report, winner, lang)) if winner else ""
    head = f"<h1>{text(report['product'])}</h1>{paragraph(sentence, 'lead')}"
    # What to do after a refusal comes before the numbers of what failed.
    return f"<header>{head}{verdict}{advice_box(report, lang)}{shown}{paragraph(built, 'note')}</header>"


def _is_certificate_not_requested(report: Mapping[str, Any]) -> bool:
    """Return whether no certificate was requested. Random rows that wait for labels count as requested."""
    return report["data"]["certification"] == 0 and not report["data"].get("audit", {}).get("wanted")


def _key_figures(
    report: Mapping[str, Any], winner: Mapping[str, Any], lang: str
) -> list[tuple[str, str, str]]:
    metric, certificate = report["metric"], report["certificate"]
    score = f"{winner['scores'][metric]:.3f}"
    if certificate:
        sign = "≥" if "at_least" in report["bar"][0] else "≤"
        remark = say("card.proven", lang, score=score, confidence=percent(certificate["confidence"]))
        quality = (metric_name(metric, lang), f"{sign} {certificate['bound']:g}", remark)
    else:
        quality = (metric_name(metric, lang), score, say("card.estimate", lang))
    return [
        quality,
        (say("card.price", lang), money(winner["usd_per_1k"] * 1000, lang), say("card.million", lang)),
        (say("card.latency", lang), f"{winner['latency_ms']['p50']:.2f} ms", f"p95 {winner['latency_ms']['p95']:.2f} ms"),
        (say("card.size", lang), f"{winner['size_mb']:.1f} MB", say("card.memory", lang, mb=round(winner["peak_memory_mb"]))),
        (say("card.energy", lang), f"{significant(winner['wh_per_1k'] * 1000)} Wh", say("card.million", lang)),
    ]  # fmt: skip


def trial_status(name: str, lang: str) -> str:
    """Return the display name of a trial's status."""
    return say_or(f"status.{name.replace(' ', '_')}", lang, name)


def _leaderboard(report: Mapping[str, Any], lang: str) -> str:
    trials = report["trials"]
    names = list(dict.fromkeys(name for t in trials for name in t["scores"]))
    head = [say(f"board.{name}", lang) for name in ("rung", "status")]
    head += [metric_name(name, lang) for name in names]
    head += [
        say(f"board.{name}", lang)
        for name in ("interval", "p50", "rate", "size", "memory", "price", "energy", "fit")
    ]
    rows = [[t["rung"], trial_status(t["status"], lang), *_figures(t, names)] for t in trials]
    confidence = percent(report["bar"][0]["confidence"])
    note = say("board.note", lang, metric=report["metric"], confidence=confidence)
    source = evaluation_source(report, lang, "page.source_all")
    return section(
        "leaderboard",
        say("leaderboard.title", lang),
        paragraph(say("board.lead", lang)),
        table(head, rows, join_sentences(lang, source, note), winner=report["winner"]),
        families([(t["rung"], t["model"]) for t in trials if "model" in t], lang),
        _price_parts(report, lang),
        _failures(report, lang),
        "".join(paragraph(line, "note") for line in race_lines(report, lang)),
        _pareto(report, source, lang),
    )


def _figures(t: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """Return the cells of a trial's scores and measurements; empty cells for a failed rung."""
    if not t["scores"]:
        return [""] * (len(names) + 8)
    return [
        *(f"{t['scores'][name]:.4f}" if name in t["scores"] else "" for name in names),
        f"{t['interval'][0]:.3f}–{t['interval'][1]:.3f}", f"{t['latency_ms']['p50']:.2f}", f"{t['throughput_per_s']:,.0f}",
        f"{t['size_mb']:.1f}", f"{t['peak_memory_mb']:.0f}", significant(t["usd_per_1k"] * 1000),
        significant(t["wh_per_1k"] * 1000), f"{t['fit_seconds']:.1f}",
    ]  # fmt: skip


def _price_parts(report: Mapping[str, Any], lang: str) -> str:
    """Return the components of the prices, if they include more than the CPU."""
    prices = [(t["rung"], t.get("price") or {}) for t in report["trials"]]
    return "".join(
        paragraph(
            say("board.price_parts", lang, rung=rung, **{part: money(usd * 1000, lang) for part, usd in price.items()}),
            "note",
        )
        for rung, price in prices
        if price.get("gpu") or price.get("service")
    )  # fmt: skip


def _failures(report: Mapping[str, Any], lang: str) -> str:
    """Return why rungs were left out after they had started."""
    failed = [t for t in report["trials"] if t["status"] == "failed"]
    return "".join(
        paragraph(say("board.failed", lang, rung=t["rung"], problem=in_language(t["problem"], lang)), "note")
        for t in failed
    )


def _pareto(report: Mapping[str, Any], source: str, lang: str) -> str:
    metric, condition = report["metric"], report["bar"][0]
    points = [
        {
            "name": t["rung"], "price": t["usd_per_1k"] * 1000, "score": t["scores"][metric],
            "low": t["interval"][0], "high": t["interval"][1], "won": t["rung"] == report["winner"],
            "proven": report["cleared"], "floor": t["is_floor"],
        }
        for t in report["trials"] if metric in t["scores"]
    ]  # fmt: skip
    if not points:
        return ""
    higher = "at_least" in condition
    level = condition["at_least" if higher else "at_most"]
    chart = ChartLabels(
        say("pareto.title", lang),
        say("pareto.alt", lang, n=len(points), level=f"{level:g}"),
        say("pareto.price", lang),
        metric_name(metric, lang),
    )
    rows = [
        [p["name"], significant(p["price"]), f"{p['score']:.4f}", f"{p['low']:.3f}–{p['high']:.3f}"]
        for p in points
    ]
    numbers = table(
        [say("board.rung", lang), chart.x, chart.y, say("board.interval", lang)], rows, chart.title
    )
    picture = figure(
        pareto_chart(points, chart, level, higher),
        join_sentences(lang, say("pareto.read", lang), source),
        numbers,
        lang,
    )
    return f"<h3>{text(chart.title)}</h3>{picture}{cascade_chart(report, points, lang)}"


def certificate_claim(report: Mapping[str, Any], lang: str) -> str:
    """Return the certificate's claim. Certificates of older versions contain it as text."""
    certificate = report["certificate"]
    if "of" not in certificate:
        return str(certificate["claim"])
    parts = [
        say("certificate.at_least" if "at_least" in c else "certificate.at_most", lang, metric=found["metric"], bound=f"{found['bound']:g}")
        for c, found in zip(report["bar"], certificate["conditions"], strict=True)
    ]  # fmt: skip
    given = {
        "confidence": percent(certificate["confidence"], 0 if certificate["confidence"] <= 0.99 else 2),
        "words": join_list(parts, lang), "n": certificate["units"],
    }  # fmt: skip
    return _on_what(certificate, given, lang) + (
        "" if certificate["exact"] else say("certificate.estimated", lang)
    )


def _on_what(certificate: Mapping[str, Any], given: Mapping[str, Any], lang: str) -> str:
    """Return the claim with what it speaks of: new rows or units, later rows of known units, or one series."""
    kind = certificate["of"]
    units = {"units": "", "unit": ""}
    if kind not in {"rows", "blocks"}:
        units = {
            "units": say(f"certificate.names.{kind}", lang),
            "unit": say(f"certificate.name.{kind}", lang),
        }
    # Certificates of version 0.1 say neither.
    sampling, new = certificate.get("sampling"), certificate.get("new_units", 0)
    if sampling == "blocks":
        return say("certificate.claim_blocks", lang, **given)
    if sampling == "fixed":
        return (
            say("certificate.claim_fixed", lang, **given, **units, weights=_weights(certificate, lang))
            + (say("certificate.new_units", lang, n=new) if new else "")
            + say("certificate.fixed_only", lang, **units)
        )
    word = "rows" if kind == "rows" else "units"
    of = say(f"certificate.{word}", lang, **units, weights=_weights(certificate, lang))
    held = say(f"certificate.held_{word}", lang, **units)
    found = say("certificate.claim", lang, **given, of=of, held=held)
    return found + (say("certificate.period", lang) if certificate["period"] else "")


def _weights(certificate: Mapping[str, Any], lang: str) -> str:
    """Return how much each unit counts. Certificates of version 0.1 do not say that metrics differ in it."""
    conditions = certificate["conditions"]
    by_rows = [found["metric"] for found in conditions if found.get("weights") == "rows"]
    key = "mixed" if by_rows else "units"
    if by_rows and len(by_rows) == len(conditions):
        key = "rows"
    return say(f"certificate.weights.{key}", lang, metrics=join_list(by_rows, lang))


def _annotation_note(report: Mapping[str, Any], lang: str) -> list[str]:
    audit = report["data"].get("audit")
    return [paragraph(say("label.assumptions", lang, n=audit["cannot_be_told"]))] if audit else []


def _certificate(report: Mapping[str, Any], lang: str) -> str:
    certificate = report["certificate"]
    title = say("certificate.title", lang)
    if not certificate:
        reason = "certificate.unasked" if _is_certificate_not_requested(report) else "certificate.none"
        return section("certificate", title, box(paragraph(say(reason, lang)), "warn"))
    return section(
        "certificate",
        title,
        box(paragraph(certificate_claim(report, lang), "lead"), "good"),
        paragraph(say("certificate.how", lang, n=certificate["rows"])),
        *_annotation_note(report, lang),
        *(paragraph(words) for words in cautions(report["data"], report.get("findings") or (), lang)),
        paragraph(
            say("certificate.looks", lang, looks=certificate["looks"], alpha=f"{certificate['alpha']:.2g}")
        ),
        paragraph(say("certificate.not", lang)),
        paragraph(say("certificate.lock", lang), "note"),
    )


def _data(report: Mapping[str, Any], lang: str) -> str:
    data = report["data"]
    rows = [[say(f"data.{key}", lang), count(data[key], lang)] for key in ("rows", "train", "certification")]
    rows += [
        [say("data.quarantined", lang, reason=say_or(f"reason.{reason}", lang, reason)), count(n, lang)]
        for reason, n in data["quarantined"].items()
    ]
    rows += [
        [say(f"data.{key}", lang), count(data[key], lang)]
        for key in ("corrected", "corrections_unused")
        if data.get(key)
    ]
    encodings = listed((f"{name} {found}" for name, found in data["encoding"].items()), lang)
    split = data["split"]
    over_time = split.get("groups") or split.get("units")
    key = (
        f"split.{split['by']}_{over_time}" if split["by"] == "time" and over_time else f"split.{split['by']}"
    )
    how = say(key, lang) if has_message(key, lang) else str(split["by"])
    classes = ""
    if data["labels"]:
        most = sorted(data["labels"].items(), key=lambda item: -item[1])
        chart = ChartLabels(say("data.classes", lang), say("data.classes_alt", lang, n=len(most)), "", "")
        numbers = table(
            [say("why.label", lang), say("page.rows", lang)],
            [[k, f"{v:,}"] for k, v in most],
            chart.title,
            kind="",
        )
        picture = figure(bar_chart(most[:20], chart), say("data.classes_note", lang), numbers, lang)
        classes = f"<div><h3>{text(chart.title)}</h3>{picture}</div>"
    read = table([say("data.what", lang), say("page.rows", lang)], rows, say("data.caption", lang))
    notes = [*data_notes(data, lang), *left_out_notes(report, lang)]
    read += "".join(paragraph(note, "note") for note in notes)
    return section(
        "data",
        say("data.title", lang),
        f'<div class="figures"><div>{read}{paragraph(how)}{paragraph(say("data.encoding", lang, found=encodings), "note")}</div>{classes}</div>',
        cleaning_tables(report, lang),
    )


def _reproduce(report: Mapping[str, Any], lang: str) -> str:
    hardware = listed(
        (f"{say_or(f'hardware.{key}', lang, key)} {value}" for key, value in report["hardware"].items()), lang
    )
    return section(
        "reproduce",
        say("reproduce.title", lang),
        paragraph(say("reproduce.how", lang)),
        '<pre tabindex="0"><code>'
        + text(f"# {say('reproduce.source', lang, version=report['rung_version'])}\n")
        + text(install_command(*report.get("extras", ["build"])))
        + "\nrung build product.yaml</code></pre>",
        paragraph(say("reproduce.seed", lang, seed=str(report["seed"]), hardware=hardware)),
        paragraph(say("reproduce.texts", lang), "note"),
    )
