"""The report of an export: `export.json` for programs, `export.md` for people, in the language that was asked for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rung.core.files import sha256, write_json, write_text
from rung.core.messages import count, percent, say
from rung.core.prices import load_prices
from rung.exporting.agreement import CONFIDENCE, REQUIRED
from rung.exporting.source import Rows, Source
from rung.exporting.target import Check, Note

JSON, PAGE = "export.json", "export.md"


def report(
    source: Source, target: str, rows: Rows, folder: Path, notes: Sequence[Note], checks: Sequence[Check]
) -> dict[str, Any]:
    """Return the report of an export whose files lie in the folder."""
    manifest = source.manifest
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in {JSON, PAGE})
    return {
        "target": target,
        "ok": all(check.agreement.is_enough for check in checks),
        "name": manifest.name,
        "version": manifest.version,
        "rung": manifest.rung,
        "rung_version": version("rung"),
        "certificate": dict(manifest.certificate) if manifest.certificate else None,
        "rows": {"origin": rows.origin, "answered": len(rows), "refused": rows.refused},
        "required": REQUIRED,
        "confidence": CONFIDENCE,
        "checks": [{**check.as_dict(), "per_1k": per_1k(check.milliseconds)} for check in checks],
        "notes": [note.as_dict() for note in notes],
        "size_mb": round(sum(path.stat().st_size for path in files) / 1e6, 4),
        "files": {
            path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": sha256(path)}
            for path in files
        },
    }


def per_1k(milliseconds: float) -> dict[str, float] | None:
    """Return what 1,000 answers take of one core, at the prices that come with rung; None where no time was measured.

    An answer in a tab or on a phone costs its owner the energy, and the product nothing.
    """
    if not milliseconds:
        return None
    prices, seconds = load_prices(), milliseconds
    found = {
        "cpu_seconds": seconds, "wh": prices.wh(seconds), "watts_per_core": prices.watts_per_core, "g_co2": prices.g_co2(seconds),
        "g_co2_per_kwh": prices.g_co2_per_kwh, "usd": prices.usd(seconds),
    }  # fmt: skip
    return {name: float(f"{value:.3g}") for name, value in found.items()}


def write(found: Mapping[str, Any], folder: Path, lang: str) -> None:
    """Write both files; the page last."""
    write_json(folder / JSON, found)
    write_text(folder / PAGE, "\n".join(lines(found, lang)) + "\n")


def lines(found: Mapping[str, Any], lang: str) -> list[str]:
    """Return the report as lines of Markdown; the command prints them as they are."""

    def told(key: str, **values: Any) -> str:
        return say(f"export.{key}", lang, **values)

    rows = found["rows"]
    claim = found["certificate"]["claim"] if found["certificate"] else told("uncertified")
    out = [
        f"# {found['name']} · {found['target']}",
        "",
        told("of", version=found["version"], rung=found["rung"], tool=found["rung_version"]),
        told("certificate", claim=claim),
        "",
        f"## {told('agreement')}",
        told(f"rows.{rows['origin']}", n=rows["answered"])
        + (told("refused_rows", n=rows["refused"]) if rows["refused"] else ""),
        "",
    ]
    out += [line for check in found["checks"] for line in _check_lines(check, lang)]
    if not found["checks"]:
        out += [told("unchecked"), ""]
    if found["notes"]:
        out += [f"## {told('notes')}", *(f"- {_note(note, lang)}" for note in found["notes"]), ""]
    megabytes = f"{found['size_mb']:.3g}"
    out += [f"## {told('files', mb=megabytes)}"]
    for name, facts in list(found["files"].items())[:40]:
        out.append(f"- `{name}` {count(facts['bytes'], lang)} B, SHA-256 `{facts['sha256']}`")
    return out


def summary(found: Mapping[str, Any], lang: str) -> list[str]:
    """Return the lines that the command prints."""
    key = "export.done" if found["ok"] else "export.failed"
    out = [say(key, lang, target=found["target"], mb=f"{found['size_mb']:.3g}")]
    out += [_check_line(check, lang) for check in found["checks"]] or [say("export.unchecked", lang)]
    return out + [_note(note, lang) for note in found["notes"]]


def _check_line(check: Mapping[str, Any], lang: str) -> str:
    return say(
        "export.check", lang, where=check["where"], versions=check["versions"], equal=check["equal"], n=check["rows"],
        share=percent(math.floor(check["share"] * 1e4) / 1e4, 2), bound=percent(math.floor(check["lower_bound"] * 1e4) / 1e4, 2),
        confidence=percent(check["confidence"], 0),
    )  # fmt: skip


def _check_lines(check: Mapping[str, Any], lang: str) -> list[str]:
    def told(key: str, **values: Any) -> str:
        return say(f"export.{key}", lang, **values)

    out = [f"### {check['where']}", "", _check_line(check, lang)]
    out.append(told("difference", value=f"{check['largest_difference']:.2g}"))
    if check["milliseconds"]:
        out.append(told("milliseconds", value=f"{check['milliseconds']:.3g}"))
    if check.get("per_1k"):
        out.append(told("per_1k", **{name: f"{value:g}" for name, value in check["per_1k"].items()}))
    out.append(told("cpu", cpu=check["cpu"], features=", ".join(check["cpu_features"]) or "?"))
    for one in check["differing"]:
        out.append(
            told("differs", row=str(one["row"]), expected=str(one["expected"])[:60], got=str(one["got"])[:60])
        )
    return [*out, ""]


def _note(note: Mapping[str, Any], lang: str) -> str:
    return say(
        f"export.note.{note['key']}", lang, **{key: value for key, value in note.items() if key != "key"}
    )
