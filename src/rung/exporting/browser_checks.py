"""Let a browser export answer rows where it will run: in Node.js, and in headless Chromium as a page from the disk."""

from __future__ import annotations

import base64
import html
import json
import math
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rung.core.errors import RungError
from rung.exporting.agreement import TargetAnswer, compare
from rung.exporting.source import Rows, Source
from rung.exporting.target import Check

_CHECK = Path(__file__).parent / "templates" / "browser" / "check.js"
_SECONDS = 600
_NODE = """import model from "./index.mjs";
import "./check.js";
import { readFileSync, writeFileSync } from "node:fs";
const rows = JSON.parse(readFileSync(new URL("./rows.json", import.meta.url), "utf8"));
writeFileSync(new URL("./answers.json", import.meta.url), JSON.stringify(globalThis.rungCheck(model, rows)));
"""
_RUN = """const found = JSON.stringify(globalThis.rungCheck(globalThis.rung.open(globalThis.RUNG_MODEL), globalThis.ROWS));
const bytes = new TextEncoder().encode(found);
let text = "";
for (const byte of bytes) text += String.fromCharCode(byte);
document.getElementById("out").textContent = `answers:${btoa(text)}:end`;
"""


def check(source: Source, folder: Path, rows: Rows) -> Sequence[Check]:
    """Return how the folder answers in each engine that is installed; [] where there is none."""
    found = []
    with TemporaryDirectory(prefix="rung-browser-") as scratch:
        place = Path(scratch) / "export"
        shutil.copytree(folder, place)
        (place / "check.js").write_bytes(_CHECK.read_bytes())
        asked = json.dumps([{name: _plain(value) for name, value in row.items()} for row in rows.inputs])
        if (node := shutil.which("node")) is not None:
            found.append(_check("Node.js", _version(node), _in_node(node, place, asked), rows))
        if (browser := chromium()) is not None:
            found.append(_check("Chromium", _version(browser), _in_chromium(browser, place, asked), rows))
    return found


def chromium() -> str | None:
    """Return the Chromium of this machine: $CHROME, chromium or Chrome; None where there is none."""
    wanted = (os.environ.get("CHROME", ""), "chromium", "chromium-browser", "google-chrome", "chrome")
    return next((place for name in wanted if name and (place := shutil.which(name))), None)


def _check(where: str, versions: str, found: Mapping[str, Any], rows: Rows) -> Check:
    answers = [
        TargetAnswer(_value(one.get("value")), one.get("chances") or (), one.get("problem", ""))
        for one in found["answers"]
    ]
    return Check(where, versions, compare(rows.expected, answers), float(found["milliseconds"]))


def _value(value: Any) -> Any:
    """Return an answer as predictions hold it: a set of labels is one text there."""
    if isinstance(value, list):
        from rung.core.label_sets import set_text

        return set_text(value)
    return value


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _in_node(node: str, place: Path, asked: str) -> dict[str, Any]:
    (place / "rows.json").write_text(asked, encoding="utf-8")
    (place / "check.mjs").write_text(_NODE, encoding="utf-8")
    done = subprocess.run(
        [node, str(place / "check.mjs")], capture_output=True, text=True, check=False, timeout=_SECONDS
    )
    if done.returncode:
        raise RungError(
            f"the export failed in Node.js: {done.stderr[-1500:]}",
            place.name,
            "This is a fault of rung: report it.",
        )
    found: dict[str, Any] = json.loads((place / "answers.json").read_text(encoding="utf-8"))
    return found


def _in_chromium(browser: str, place: Path, asked: str) -> dict[str, Any]:
    """Open the export's own page from the disk, under its own policy, with the rows and the check beside it."""
    page = (place / "index.html").read_text(encoding="utf-8")
    (place / "rows.js").write_text(f"globalThis.ROWS = {asked};\n", encoding="utf-8")
    (place / "run.js").write_text(_RUN, encoding="utf-8")
    scripts = "".join(f'<script src="{name}"></script>' for name in ("rows.js", "check.js", "run.js"))
    (place / "check.html").write_text(
        page.replace("</body>", f'<pre id="out"></pre>{scripts}</body>'), encoding="utf-8"
    )
    with TemporaryDirectory(prefix="rung-chromium-") as profile:
        command = [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-extensions", "--no-first-run",
            f"--user-data-dir={profile}", "--dump-dom", (place / "check.html").as_uri(),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)
    answered = re.search(r"answers:([A-Za-z0-9+/=]+):end", html.unescape(done.stdout))
    if answered is None:
        raise RungError(
            f"the export gave no answer in Chromium: {done.stderr[-800:]}",
            place.name,
            "Set CHROME to another browser.",
        )
    found: dict[str, Any] = json.loads(base64.b64decode(answered[1]))
    return found


def _version(command: str) -> str:
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=False)
    return (done.stdout.splitlines() or [Path(command).name])[-1].strip()
