"""Let a browser export answer rows where it will run: in Node.js, and in headless Chromium as a page from the disk.

Rows go in pieces, each to a process or page of its own, so that neither thousands of images nor a slow network meet a limit.
"""

from __future__ import annotations

import base64
import json
import math
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rung.core.blobs import Blob
from rung.core.errors import RungError
from rung.exporting.agreement import TargetAnswer, compare
from rung.exporting.devtools import HeadlessChromium
from rung.exporting.source import Rows, Source
from rung.exporting.target import Check

_CHECK = Path(__file__).parent / "templates" / "browser" / "check.js"
# Of one piece.
_SECONDS, _PIECE_BYTES, _PIECE_ROWS = 900, 48_000_000, 20_000
# A row of a network may take half a second.
_PIECE_ROWS_OF_NETWORKS = 500
_PNG = b"\x89PNG\r\n\x1a\n"
_NODE = """import model from "./index.mjs";
import "./check.js";
import { readFileSync, writeFileSync } from "node:fs";
const rows = JSON.parse(readFileSync(new URL("./rows.json", import.meta.url), "utf8"));
const found = await globalThis.rungCheck(model, rows, process.argv[2] === "timed");
writeFileSync(new URL("./answers.json", import.meta.url), JSON.stringify(found));
"""
_ASKED = "globalThis.rungCheck(globalThis.rung.open(globalThis.RUNG_MODEL), globalThis.ROWS, {timed}).then(JSON.stringify)"


def check(source: Source, folder: Path, rows: Rows) -> Sequence[Check]:
    """Return how the folder answers in each engine that is installed; [] where there is none."""
    found = []
    with TemporaryDirectory(prefix="rung-browser-") as scratch:
        place = Path(scratch) / "export"
        shutil.copytree(folder, place)
        (place / "check.js").write_bytes(_CHECK.read_bytes())
        most = _PIECE_ROWS_OF_NETWORKS if (folder / "runtime.js").is_file() else _PIECE_ROWS
        readable = _for_node(rows)
        if (node := shutil.which("node")) is not None and len(readable):
            told = [_in_node(node, place, piece, not number) for number, piece in _pieces(readable, most)]
            where = "Node.js" if len(readable) == len(rows) else "Node.js, rows whose images are PNG"
            found.append(_check(where, _version(node), told, readable))
        if (browser := chromium()) is not None:
            with HeadlessChromium(browser, _SECONDS) as opened:
                told = [
                    _in_chromium(opened, place, piece, not number) for number, piece in _pieces(rows, most)
                ]
            found.append(_check("Chromium", _version(browser), told, rows))
    return found


def _for_node(rows: Rows) -> Rows:
    """Return the rows that can be read without a browser: those whose images are PNG."""
    kept = [
        place
        for place, row in enumerate(rows.inputs)
        if all(value.read().startswith(_PNG) for value in row.values() if isinstance(value, Blob))
    ]
    return replace(rows, inputs=[rows.inputs[i] for i in kept], expected=[rows.expected[i] for i in kept])


def _pieces(rows: Rows, most: int) -> Iterator[tuple[int, str]]:
    """Yield number and JSON of each piece of the rows; media as base64."""
    texts: list[str] = []
    size = number = 0
    for row in rows.inputs:
        text = json.dumps({name: _plain(value) for name, value in row.items()})
        if texts and (size + len(text) > _PIECE_BYTES or len(texts) == most):
            yield number, f"[{','.join(texts)}]"
            texts, size, number = [], 0, number + 1
        texts.append(text)
        size += len(text)
    yield number, f"[{','.join(texts)}]"


def chromium() -> str | None:
    """Return the Chromium of this machine: $CHROME, chromium or Chrome; None where there is none."""
    wanted = (os.environ.get("CHROME", ""), "chromium", "chromium-browser", "google-chrome", "chrome")
    return next((place for name in wanted if name and (place := shutil.which(name))), None)


def _check(where: str, versions: str, told: Sequence[Mapping[str, Any]], rows: Rows) -> Check:
    answers = [
        TargetAnswer(_value(one.get("value")), one.get("chances") or (), one.get("problem", ""))
        for piece in told
        for one in piece["answers"]
    ]
    return Check(where, versions, compare(rows.expected, answers), float(told[0]["milliseconds"]))


def _value(value: Any) -> Any:
    """Return an answer as predictions hold it: a set of labels is one text there."""
    if isinstance(value, list):
        from rung.core.label_sets import set_text

        return set_text(value)
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, Blob):
        return base64.b64encode(value.read()).decode()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _in_node(node: str, place: Path, asked: str, timed: bool) -> dict[str, Any]:
    (place / "rows.json").write_text(asked, encoding="utf-8")
    (place / "check.mjs").write_text(_NODE, encoding="utf-8")
    done = subprocess.run(
        [node, str(place / "check.mjs"), "timed" if timed else ""],
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
    )
    if done.returncode:
        raise RungError(
            f"the export failed in Node.js: {done.stderr[-1500:]}",
            place.name,
            "This is a fault of rung: report it.",
        )
    found: dict[str, Any] = json.loads((place / "answers.json").read_text(encoding="utf-8"))
    return found


def _in_chromium(browser: HeadlessChromium, place: Path, asked: str, timed: bool) -> dict[str, Any]:
    """Open the export's own page from the disk, under its own policy, with the rows and the check beside it."""
    page = (place / "index.html").read_text(encoding="utf-8")
    (place / "rows.js").write_text(f"globalThis.ROWS = {asked};\n", encoding="utf-8")
    scripts = "".join(f'<script src="{name}"></script>' for name in ("rows.js", "check.js"))
    (place / "check.html").write_text(page.replace("</body>", f"{scripts}</body>"), encoding="utf-8")
    said = browser.value(place / "check.html", _ASKED.replace("{timed}", str(timed).lower()))
    found: dict[str, Any] = json.loads(said)
    return found


def _version(command: str) -> str:
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=False)
    return (done.stdout.splitlines() or [Path(command).name])[-1].strip()
