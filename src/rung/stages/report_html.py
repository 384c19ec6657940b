"""The report as one plain page: no script, no link out, readable offline and on paper."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

_STYLE = """
:root { color-scheme: light dark; --line: #8886; --soft: #8882; --good: #0a7d3b; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --good: #5fd38d; --bad: #ff8a80; } }
body { font: 16px/1.5 system-ui, "Noto Sans CJK SC", sans-serif; max-width: 68rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.7rem; margin-bottom: .2rem } h2 { font-size: 1.2rem; margin-top: 2.2rem }
.wide { overflow-x: auto } .wide table { font-size: .88rem } table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { padding: .35rem .5rem; border-bottom: 1px solid var(--line); text-align: right } th { font-weight: 600 }
th:first-child, td:first-child { text-align: left } p.note { margin: .2rem 0; opacity: .8 }
.good { color: var(--good) } .bad { color: var(--bad) } .box { background: var(--soft); padding: .8rem 1rem; border-radius: .5rem }
tr.winner td { font-weight: 600 } small { opacity: .8 }
"""


def render(report: Mapping[str, Any]) -> str:
    """Return report.html of a report: verdict, leaderboard, certificate in words, confusion matrix, data."""
    metric = escape(report["metric"])
    parts = [
        _verdict(report),
        "<h2>Leaderboard</h2>",
        _leaderboard(report),
        "<h2>Certificate</h2>",
        _certificate(report),
        _advice(report["advice"]),
        _confusion(report["details"]),
        _mistakes(report["details"]),
        "<h2>Data</h2>",
        _data(report["data"]),
        f"<p><small>rung {escape(report['rung_version'])}, seed {report['seed']}; {escape(_pairs(report['hardware']))}. "
        f"Prices: {escape('; '.join(report['prices'].values()))}. All numbers: report.json.</small></p>",
    ]
    head = (
        f'<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(report['product'])}: {metric}</title><style>{_STYLE}</style>"
    )
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n'
        + "\n".join(filter(None, parts))
        + "\n</body></html>\n"
    )


def _verdict(report: Mapping[str, Any]) -> str:
    wanted = " and ".join(_condition(c) for c in report["bar"])
    if report["cleared"]:
        line = f'<span class="good">✓ {escape(report["winner"])} clears the bar</span>: {escape(wanted)}'
    else:
        line = f'<span class="bad">✗ no rung clears the bar</span>: {escape(wanted)}'
    return f"<h1>{escape(report['product'])}</h1>\n<p>{escape(report['task'])}. {line}.</p>"


def _condition(condition: Mapping[str, Any]) -> str:
    side = "at_least" if "at_least" in condition else "at_most"
    return f"{condition['metric']} {side.replace('_', ' ')} {condition[side]:g} with {condition['confidence']:.4g} confidence"


def _leaderboard(report: Mapping[str, Any]) -> str:
    trials = report["trials"]
    names = list(dict.fromkeys(name for t in trials for name in t["scores"]))
    head = [
        "rung",
        "status",
        *names,
        "interval",
        "p50 ms",
        "rows/s",
        "MB",
        "memory MB",
        "USD / 1k",
        "Wh / 1k",
        "fit s",
    ]
    rows = []
    for t in trials:
        scores = [f"{t['scores'][name]:.4f}" if name in t["scores"] else "" for name in names]
        rows.append(
            [
                t["rung"], t["status"], *scores, f"{t['interval'][0]:.3f}–{t['interval'][1]:.3f}",
                f"{t['latency_ms']['p50']:.2f}", f"{t['throughput_per_s']:,.0f}", f"{t['size_mb']:.2f}",
                f"{t['peak_memory_mb']:.0f}", f"{t['usd_per_1k']:.7f}", f"{t['wh_per_1k']:.6f}", f"{t['fit_seconds']:.1f}",
            ]
        )  # fmt: skip
    method = trials[0]["method"] if trials else ""
    note = f"Scores: {method}; interval of {report['metric']}, an estimate. Times: the packed bundle in a fresh process, one thread."
    return _table(head, rows, note, winner=report["winner"])


def _certificate(report: Mapping[str, Any]) -> str:
    certificate = report["certificate"]
    if not certificate:
        return '<p class="box">There is none: nothing has been proven about new rows. The bundle is marked uncertified.</p>'
    claim = certificate["claim"]
    looks = "the first look" if certificate["looks"] == 1 else f"look number {certificate['looks']}"
    return (
        f'<p class="box">{escape(claim[0].upper() + claim[1:])}</p><p>The {certificate["rows"]:,} certification rows were read by no '
        f"choice: not of the rung, not of its parameters, not of its thresholds. This was {looks} at them, and it was allowed an "
        f"error of {certificate['alpha']:.2g}. The bound is rounded down to half points.</p>"
    )


def _advice(lines: list[str]) -> str:
    if not lines:
        return ""
    return "<h2>What to do next</h2><ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


def _confusion(details: Mapping[str, Any]) -> str:
    matrix, labels = details.get("confusion"), details.get("labels", [])
    if not matrix:
        return ""
    rows = [
        [label, *map(str, row), f"{row[i] / max(sum(row), 1):.0%}"]
        for i, (label, row) in enumerate(zip(labels, matrix, strict=True))
    ]
    note = "Rows: the true label. Columns: the answer. Held-out training rows of the winner; no certification row is in it."
    return "<h2>Confusion matrix</h2>" + _table(["truth", *labels, "right"], rows, note)


def _mistakes(details: Mapping[str, Any]) -> str:
    found = details.get("mistakes")
    if not found:
        return ""
    several = len({m.get("file") for m in found}) > 1
    places = [f"{m['file']}, row {m['row']}" if several else str(m["row"]) for m in found]
    rows = [
        [place, m["truth"], m["answer"], f"{m['probability']:.3f}"]
        for place, m in zip(places, found, strict=True)
    ]
    return "<h2>Surest mistakes</h2>" + _table(
        ["row of the source", "truth", "answer", "probability"],
        rows,
        "Held-out training rows. Look here for wrong labels first.",
    )


def _data(data: Mapping[str, Any]) -> str:
    rows = [
        ["read", f"{data['rows']:,}"],
        ["train", f"{data['train']:,}"],
        ["certify", f"{data['certification']:,}"],
    ]
    rows += [[f"quarantined: {reason}", f"{count:,}"] for reason, count in data["quarantined"].items()]
    return _table(
        ["rows", "number"], rows, f"Split {_pairs(data['split'])}; encoding {_pairs(data['encoding'])}."
    )


def _table(head: list[str], rows: Iterable[list[str]], note: str, winner: str | None = None) -> str:
    top = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    body = "".join(
        f"<tr{' class=winner' if winner is not None and row[0] == winner else ''}>"
        + "".join(f"<td>{escape(cell)}</td>" for cell in row)
        + "</tr>"
        for row in rows
    )
    note = f'<p class="note">{escape(note)}</p>' if note else ""
    return f'{note}<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def _pairs(facts: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in facts.items())
