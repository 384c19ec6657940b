"""Export to a container: a Dockerfile beside the product's wheel, which brings a small server. The image is not built here.

What is checked is what the image will run: the wheel's server is started without rung, and the rows go to it over HTTP.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rung.core.errors import RungError
from rung.core.types import Prediction
from rung.exporting import wheel
from rung.exporting.agreement import TargetAnswer, compare
from rung.exporting.c_arrays import filled
from rung.exporting.source import Rows, Source
from rung.exporting.target import Check, ExportRefused, Note, Target, identifier

_TEMPLATE = Path(__file__).parent / "templates" / "Dockerfile.txt"
_INSTRUCTIONS = {"FROM", "COPY", "RUN", "ENV", "USER", "EXPOSE", "HEALTHCHECK", "CMD"}
_AT_ONCE = 200
# Of the server, from its start to its first line.
_START_SECONDS = 120


def write(source: Source, folder: Path) -> Sequence[Note]:
    """Write the wheel, the Dockerfile and what the build must not copy."""
    if any(
        kind in {"image", "audio", "document", "file"}
        for kind in (field.kind for field in source.manifest.schema.inputs)
    ):
        raise ExportRefused(
            "the container's small server takes JSON, and this product reads files",
            source.folder.name,
            "Use deploy/Containerfile with `rung serve`, which takes uploads.",
        )
    wheel.write(source, folder)
    name = identifier(source.manifest.name)
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    text = filled(
        _TEMPLATE.read_text(encoding="utf-8"), NAME=name, VERSION=source.manifest.version, PYTHON=python
    )
    problems = lint(text)
    if problems:
        raise ExportRefused(
            f"the Dockerfile is not sound: {'; '.join(problems)}", name, "This is a fault of rung: report it."
        )
    (folder / "Dockerfile").write_text(text, encoding="utf-8")
    (folder / ".dockerignore").write_text("*\n!*.whl\n", encoding="utf-8")
    return [Note("docker", {"name": name})]


def check(source: Source, folder: Path, rows: Rows) -> Sequence[Check]:
    """Return how the server of the wheel answers over HTTP, in a Python that refuses to import rung."""
    name = identifier(source.manifest.name)
    with TemporaryDirectory(prefix="rung-docker-") as scratch:
        place = wheel.install(folder, Path(scratch) / "installed")
        answers, seconds = _over_http(place, name, rows)
    # Responses are compared whole: over HTTP there is nothing else.
    server = source.predictor.respond([dict(row) for row in rows.inputs], scores=True)
    expected = [Prediction(answer, extra={"probabilities": _chances(answer)}) for answer in server]
    versions = f"Python {sys.version.partition(' ')[0]}"
    return [Check("HTTP", versions, compare(expected, answers), 1000 * seconds / len(rows))]


TARGET = Target("docker", write, check)


def lint(text: str) -> list[str]:
    """Return what is wrong with a Dockerfile: unknown instructions, root, a missing health check, shell forms of commands."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    words = [line.split(maxsplit=1) for line in lines]
    found = [f"'{first}' is not expected" for first, *_ in words if first not in _INSTRUCTIONS]
    by_name: dict[str, str] = {first: rest[0] if rest else "" for first, *rest in words}
    if words[0][0] != "FROM":
        found.append("it does not begin with FROM")
    if ":" not in by_name.get("FROM", "") or by_name.get("FROM", "").endswith(":latest"):
        found.append("the base image has no tag")
    if by_name.get("USER", "root").split(":")[0] in {"root", "0"}:
        found.append("it runs as root")
    if "HEALTHCHECK" not in by_name:
        found.append("it has no health check")
    for name, part in (
        ("CMD", by_name.get("CMD", "")),
        ("HEALTHCHECK", by_name.get("HEALTHCHECK", "").partition("CMD ")[2]),
    ):
        try:
            is_list = isinstance(json.loads(part), list)
        except ValueError:
            is_list = False
        found += [] if is_list else [f"{name} is not in its exec form"]
    for line in lines:
        if line.startswith("RUN "):
            shlex.split(line)  # Raises ValueError for quotes that are not closed.
    return found


def _over_http(place: Path, name: str, rows: Rows) -> tuple[list[TargetAnswer], float]:
    script = wheel.TEMPLATES / "server_check.py.txt"
    command = [sys.executable, "-I", str(script), str(place), name, ",".join(wheel.BLOCKED)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=wheel.quiet()
    ) as server:
        try:
            address = server.stdout.readline().strip() if server.stdout else ""
            if not re.fullmatch(r"http://127\.0\.0\.1:\d+", address):
                raise RungError(
                    "the server of the wheel does not start", name, "This is a fault of rung: report it."
                )
            answers: list[TargetAnswer] = []
            begun = time.perf_counter()
            for begin in range(0, len(rows), _AT_ONCE):
                answers += _ask(address, rows.inputs[begin : begin + _AT_ONCE])
            return answers, time.perf_counter() - begun
        finally:
            server.terminate()


def _ask(address: str, rows: Sequence[Any]) -> list[TargetAnswer]:
    plain = [{key: wheel.plain(value) for key, value in row.items()} for row in rows]
    body = json.dumps({"inputs": plain, "scores": True}).encode()
    request = urllib.request.Request(f"{address}/predict", body, {"Content-Type": "application/json"})  # noqa: S310 - loopback
    with urllib.request.urlopen(request, timeout=_START_SECONDS) as reply:  # noqa: S310 - loopback
        found = json.loads(reply.read())["answers"]
    return [TargetAnswer(answer, _chances(answer), answer.get("error", "")) for answer in found]


def _chances(answer: dict[str, Any]) -> list[float]:
    return [value for key, value in answer.items() if key.startswith("score:")]
