"""The report's sections on quality: errors, calibration, learning curve and explanations of the winner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rung.core.messages import join_sentences, listed, metric_name, percent, say
from rung.pages.charts import ChartLabels, confusion_matrix, line_chart, reliability_diagram
from rung.pages.elements import collapsible, figure, heat_map, paragraph, pictures, section, table, text

# A heat map of more classes is not readable: then only the most confused ones are shown.
_MAX_CLASSES = 20
# Up to this number of classes there is space for a table beside the heat map.
_MAX_CLASSES_BESIDE = 10
# Number of mistakes that are always visible, and characters of each.
_MAX_MISTAKES, _EXCERPT_CHARS = 6, 160
# Of each label, where rows have several.
_LABEL_SCORES = ("precision", "recall", "f1")
# A smaller weight would be shown as 0.00.
_LEAST_WEIGHT = 0.005


def errors_section(report: Mapping[str, Any], lang: str) -> str:
    """Return the confusion matrix, the most confused pairs, and the mistakes with the highest confidence."""
    details, source = report["details"], evaluation_source(report, lang)
    return section(
        "errors",
        say("errors.title", lang),
        _confusion(details, source, lang),
        _per_label(details.get("per_label"), source, lang),
        _mistakes(details.get("mistakes"), source, lang),
    )


def evaluation_source(report: Mapping[str, Any], lang: str, key: str = "page.source") -> str:
    """Return the sentence on which rows the figures come from, of the winner or, with `page.source_all`, of
    all rungs.
    """
    winner = next((t for t in report["trials"] if t["rung"] == report["winner"]), None)
    if winner is None:
        return ""
    scheme = winner.get("held_out", {"how": "part", "folds": 1})
    how = say(f"method.{scheme['how']}", lang, n=scheme["folds"])
    return say(key, lang, how=how, rung=winner["rung"])


def _confusion(details: Mapping[str, Any], source: str, lang: str) -> str:
    matrix, labels = details.get("confusion"), list(details.get("labels", []))
    if not matrix:
        return ""
    pairs = sorted(
        (
            (n, labels[i], labels[j])
            for i, row in enumerate(matrix)
            for j, n in enumerate(row)
            if n and i != j
        ),
        reverse=True,
    )[:6]
    note = ""
    if len(labels) > _MAX_CLASSES:
        note = say("errors.many", lang, shown=_MAX_CLASSES, n=len(labels))
        matrix, labels = _most_confused(matrix, labels)
    chart = ChartLabels(
        say("errors.matrix", lang), say("errors.matrix_alt", lang, n=len(labels)),
        say("errors.answer", lang), say("errors.truth", lang),
    )  # fmt: skip
    rows = [
        [label, *map(str, row), percent(row[i] / max(sum(row), 1))]
        for i, (label, row) in enumerate(zip(labels, matrix, strict=True))
    ]
    numbers = table(
        [say("errors.corner", lang), *labels, say("errors.right", lang)], rows, say("errors.matrix", lang)
    )
    picture = figure(
        confusion_matrix(matrix, labels, chart),
        join_sentences(lang, say("errors.read", lang), source),
        numbers,
        lang,
    )
    mixed = table(
        [say("errors.truth", lang), say("errors.answer", lang), say("page.rows", lang)],
        [[truth, answer, str(n)] for n, truth, answer in pairs],
        say("errors.pairs", lang),
        kind="left",
    )
    beside = ' class="figures"' if len(labels) <= _MAX_CLASSES_BESIDE else ""
    return paragraph(note) + f"<div{beside}>{picture}<div>{mixed if pairs else ''}</div></div>"


def _per_label(found: Sequence[Mapping[str, Any]] | None, source: str, lang: str) -> str:
    """Return the table of precision, recall and F1 by label, where rows have several labels."""
    if not found:
        return ""

    def shown(value: float | None) -> str:
        return "–" if value is None else f"{value:.3f}"

    rows = [
        [one["label"], str(one["rows"]), str(one["answers"]), *(shown(one[key]) for key in _LABEL_SCORES)]
        for one in sorted(found, key=lambda one: -one["rows"])
    ]
    heads = [say(f"errors.{key}", lang) for key in ("label", "rows_with", "rows_given", *_LABEL_SCORES)]
    return paragraph(source, "note") + table(heads, rows, say("errors.by_label", lang))


def _most_confused(
    matrix: Sequence[Sequence[int]], labels: Sequence[str]
) -> tuple[list[list[int]], list[str]]:
    wrong = [sum(row) - row[i] + sum(other[i] for other in matrix) - row[i] for i, row in enumerate(matrix)]
    kept = sorted(sorted(range(len(labels)), key=lambda i: -wrong[i])[:_MAX_CLASSES])
    return [[matrix[i][j] for j in kept] for i in kept], [labels[i] for i in kept]


def _mistakes(found: Sequence[Mapping[str, Any]] | None, source: str, lang: str) -> str:
    if not found:
        return ""
    cases = [_case(mistake, lang) for mistake in found]
    rest = cases[_MAX_MISTAKES:]
    return (
        f"<h3>{text(say('errors.surest', lang))}</h3>"
        + paragraph(say("errors.look", lang))
        + paragraph(source, "note")
        + f'<ol class="cases">{"".join(cases[:_MAX_MISTAKES])}</ol>'
        + (
            collapsible(say("errors.more", lang, n=len(rest)), f'<ol class="cases">{"".join(rest)}</ol>')
            if rest
            else ""
        )
    )


def _case(mistake: Mapping[str, Any], lang: str) -> str:
    head = say(
        "errors.case", lang, row=str(mistake["row"]), truth=mistake["truth"], answer=mistake["answer"],
        sure=percent(mistake["probability"], 1),
    )  # fmt: skip
    words = str(mistake.get("input", ""))
    shown = words if len(words) <= _EXCERPT_CHARS else words[: _EXCERPT_CHARS - 1] + "…"
    seen = pictures(mistake.get("thumbnails", ()), shown)
    return f"<li><p><b>{text(head)}</b></p><p>{seen}{text(shown)}</p></li>"


def calibration_section(report: Mapping[str, Any], lang: str) -> str:
    """Return the reliability diagram and the learning curve."""
    study = report.get("study", {})
    source = evaluation_source(report, lang)
    return section(
        "certainty",
        say("certainty.title", lang),
        f'<div class="figures">{_reliability_figure(study.get("reliability"), source, lang)}{_learning_curve_figure(report, lang)}</div>',
        _origins(study.get("origins"), lang),
        _gallery(study.get("gallery"), source, lang),
    )


def _origins(found: Sequence[Mapping[str, Any]] | None, lang: str) -> str:
    """Return the table of how often answers were right by where images come from."""
    if not found:
        return ""
    rows = [
        [
            one["origin"] or say("origins.rest", lang), str(one["rows"]), percent(one["right"], 1),
            f"{percent(one['low'], 1)}–{percent(one['high'], 1)}",
        ]
        for one in found
    ]  # fmt: skip
    heads = [say(f"origins.{name}", lang) for name in ("origin", "rows", "right", "interval")]
    title = say("origins.title", lang)
    return f"<h3>{text(title)}</h3>{paragraph(say('origins.read', lang))}{table(heads, rows, title)}"


def _gallery(found: Sequence[Mapping[str, Any]] | None, source: str, lang: str) -> str:
    """Return images by how sure their answers are; wrong ones are marked."""
    if not found:
        return ""
    parts = [
        f"<h3>{text(say('gallery.title', lang))}</h3>",
        paragraph(say("gallery.read", lang)),
        paragraph(source, "note"),
    ]
    for band in found:
        shown = "".join(_gallery_image(one, lang) for one in band["images"])
        name = band["band"]
        parts.append(f'<h4>{text(say(f"gallery.{name}", lang))}</h4><div class="gallery">{shown}</div>')
    return "".join(parts)


def _gallery_image(one: Mapping[str, Any], lang: str) -> str:
    key = "gallery.right" if one["right"] else "gallery.wrong"
    words = say(key, lang, truth=one["truth"], answer=one["answer"], sure=percent(one["probability"], 1))
    mark = "" if one["right"] else ' class="wrong"'
    return (
        f"<figure{mark}>{pictures(one['thumbnails'], words)}<figcaption>{text(words)}</figcaption></figure>"
    )


def _reliability_figure(found: Mapping[str, Any] | None, source: str, lang: str) -> str:
    if not found:
        return f"<div>{paragraph(say('certainty.none', lang))}</div>"
    chart = ChartLabels(
        say("certainty.diagram", lang), say("certainty.alt", lang, error=percent(found["error"], 1)),
        say("certainty.sure", lang), say("certainty.right", lang),
    )  # fmt: skip
    rows = [
        [
            f"{percent(b['low'])}–{percent(b['high'])}",
            str(b["rows"]),
            percent(b["sure"], 1),
            percent(b["right"], 1),
        ]
        for b in found["bins"]
    ]
    head = [say(f"certainty.{name}", lang) for name in ("bin", "rows", "sure", "right")]
    read = join_sentences(
        lang, say("certainty.read", lang, error=percent(found["error"], 1)), say("certainty.few", lang)
    )
    picture = figure(
        reliability_diagram(found["bins"], chart),
        join_sentences(lang, read, source),
        table(head, rows, chart.title),
        lang,
    )
    return f"<div><h3>{text(chart.title)}</h3>{picture}</div>"


def _learning_curve_figure(report: Mapping[str, Any], lang: str) -> str:
    curve = report.get("study", {}).get("curve", {})
    heading = f"<h3>{text(say('curve.title', lang))}</h3>"
    if "skipped" in curve:
        why = say(f"curve_skipped.{curve['skipped']}", lang, problem=curve.get("problem", ""))
        return f"<div>{heading}{paragraph(why)}</div>"
    points = [(p["rows"], p["score"]) for p in curve.get("points", [])]
    if len(points) < 2:
        return f"<div>{heading}{paragraph(say('curve.few', lang))}</div>"
    condition = report["bar"][0]
    higher = "at_least" in condition
    level = condition["at_least" if higher else "at_most"]
    gain = (points[-1][1] - points[-2][1]) * (1 if higher else -1)
    helps = "curve.rises" if gain > 0.01 else "curve.creeps" if gain > 0.002 else "curve.flat"
    verdict = say(helps, lang, gain=f"{gain * 100:+.1f}", few=points[-2][0], many=points[-1][0])
    chart = ChartLabels(
        say("curve.title", lang), verdict, say("curve.rows", lang), metric_name(curve["metric"], lang),
    )  # fmt: skip
    rows = [[f"{rows:,}", f"{score:.4f}"] for rows, score in points]
    source = say("curve.source", lang, n=curve["test_rows"], rung=report["winner"])
    numbers = table([chart.x, chart.y], rows, chart.title)
    return f"<div>{heading}{figure(line_chart(points, chart, level), join_sentences(lang, verdict, source), numbers, lang)}</div>"


def training_section(report: Mapping[str, Any], lang: str) -> str:
    """Return the loss and the score of each trained network by epoch; "" where none was trained for two epochs."""
    found = [
        _training_figure(trial["rung"], name, values, lang)
        for trial in report["trials"]
        for name, values in trial.get("training", {}).items()
        if len(values) > 1
    ]
    if not found:
        return ""
    figures = f'<div class="figures">{"".join(found)}</div>'
    return section(
        "training", say("training.title", lang), figures, paragraph(say("training.source", lang), "note")
    )


def _training_figure(rung: str, name: str, values: Sequence[float], lang: str) -> str:
    """Return a line over epochs. name: loss or score."""
    points = [(float(epoch), value) for epoch, value in enumerate(values, 1)]
    if name == "loss":
        first, last = (f"{value:.3g}" for value in (values[0], values[-1]))
        read = say("training.read", lang, n=len(values), first=first, last=last)
    else:
        best = max(range(len(values)), key=values.__getitem__)
        read = say("training.best", lang, epoch=best + 1, n=len(values), score=f"{values[best]:.4f}")
    chart = ChartLabels(
        say(f"training.{name}_of", lang, rung=rung), read, say("training.epoch", lang), say(f"training.{name}", lang)
    )  # fmt: skip
    rows = [[f"{epoch:.0f}", f"{value:.4f}"] for epoch, value in points]
    numbers = table([chart.x, chart.y], rows, chart.title)
    return f"<div><h3>{text(chart.title)}</h3>{figure(line_chart(points, chart, None), read, numbers, lang)}</div>"


def explanations_section(report: Mapping[str, Any], lang: str) -> str:
    """Return the most important words of each label, and mistakes with the words that caused them."""
    found = report.get("study", {}).get("why")
    if not found or not (found["rows"] or found["examples"]):
        return section("why", say("why.title", lang), paragraph(say("why.none", lang)))
    rows = [
        [label, listed((word["text"] for word in words), lang)]
        for label, words in found["words"].items()
        if words
    ]
    words = table(
        [say("why.label", lang), say("why.words", lang)],
        rows,
        say("why.from", lang, n=found["rows"]),
        kind="left",
    )
    examples = "".join(_example(example, lang) for example in found["examples"][:3])
    return section(
        "why",
        say("why.title", lang),
        paragraph(say("why.how", lang)),
        words if rows else "",
        f"<h3>{text(say('why.mistakes', lang))}</h3>{paragraph(say('why.read', lang))}{examples}"
        if examples
        else "",
    )


def _example(example: Mapping[str, Any], lang: str) -> str:
    head = say(
        "why.example", lang, row=str(example["row"]), truth=example["truth"], answer=example["answer"],
        sure=percent(example["score"], 1),
    )  # fmt: skip
    chips = " ".join(
        f'<span class="chip {"for" if reason["weight"] > 0 else "against"}">{text(reason["text"])} {reason["weight"]:+.2f}</span>'
        for reason in example["reasons"][:6]
        if abs(reason["weight"]) >= _LEAST_WEIGHT
    )
    shown = heat_map(example.get("thumbnails", ()), example["reasons"], example["input"])
    parts = (
        f"<p>{shown} {text(example['input'])}</p>"
        if shown
        else f"<p>{text(example['input'])}</p><p>{chips}</p>"
    )
    return f"<blockquote><p><b>{text(head)}</b></p>{parts}</blockquote>"


def advice_box(report: Mapping[str, Any], lang: str) -> str:
    """Return the advice. Reports of older versions contain it as text."""
    items = report.get("advice_items")
    if items is None:
        lines = list(report["advice"])
    else:
        lines = [say(f"advice.{item['key']}", lang, **item["values"]) for item in items]
    if not lines:
        return ""
    heading = f"<h2>{text(say('advice.title', lang))}</h2>"
    return (
        f'<section id="next" class="box warn">{heading}{"".join(paragraph(line) for line in lines)}</section>'
    )
