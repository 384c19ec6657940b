"""Streams of a writer over HTTP: time to the first sentence beside the model's own, and a hundred at once.

`python benchmarks/writing_streams.py` writes benchmarks/results/writing_streams.md. The server is a process of its own; its n-grams learned from passages of the
Brown corpus.
"""

from __future__ import annotations

import argparse
import http.client
import json
import platform
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from importlib.metadata import version
from pathlib import Path

from writing import brown_pairs, examples, parts

from rung.core.manifest import Manifest
from rung.core.model import FitContext
from rung.core.spec.serve import ServeSpec
from rung.models.ngram_writer import NgramWriter
from rung.serving.predictor import Predictor
from rung.tasks.text_generation import TextGeneration

RESULT = Path(__file__).parent / "results" / "writing_streams.md"
OPTIONS = {"max_chars": 400, "temperature": 0.8}
_AT_ONCE = 100


def predictor() -> tuple[Predictor, list[str]]:
    """Return a writer as it is served, and prompts that it has not learned from."""
    learn, validation, held = parts(brown_pairs(), 300_000)
    rows = examples(learn)
    model = NgramWriter.fit(rows, NgramWriter.Params(), FitContext(effort=0, validation=examples(validation)))
    task = TextGeneration()
    manifest = Manifest(
        "brown", "v1", "0", task.name, "ngram_writer", "ngram_writer", "/v1/models/brown/predict", rows.schema, {}, certified=True
    )  # fmt: skip
    return Predictor(manifest, task, model, Path()), [prompt for prompt, _ in held]


def serve(port: int) -> None:
    """Serve until killed."""
    import uvicorn

    from rung.serving.http.app import create_app
    from rung.serving.service import Service

    found, _ = predictor()
    app = create_app([found], service=Service(limits=ServeSpec(max_in_flight=128, seconds=300)))
    print("ready", flush=True)
    uvicorn.run(app, port=port, log_config=None)


def asked(port: int, prompt: str, seed: int) -> tuple[float, int]:
    """Return milliseconds to the first event, and the status."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    body = json.dumps({"inputs": [{"prompt": prompt, "options": {**OPTIONS, "seed": seed}}]})
    begun = time.perf_counter()
    connection.request("POST", "/v1/models/brown/stream", body, {"Content-Type": "application/json"})
    reply = connection.getresponse()
    reply.readline()
    first = (time.perf_counter() - begun) * 1000
    rest = reply.read()
    connection.close()
    return first, reply.status if b"event: answer" in rest else 0


def memory_mb(pid: int, key: str) -> float:
    """Return a figure of the kernel about a process, such as VmRSS, in 10^6 bytes."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise SystemExit(f"the kernel says nothing of {key}")


def middle(values: Sequence[float], share: float = 0.5) -> float:
    """Return the value that this share of values does not exceed."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def main() -> None:
    """Measure, and write the page."""
    given = argparse.ArgumentParser()
    given.add_argument("--serve", type=int)
    given.add_argument("--rows", type=int, default=60)
    options = given.parse_args()
    if options.serve:
        serve(options.serve)
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    server = subprocess.Popen(
        [sys.executable, __file__, "--serve", str(port)], stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    server.stdout.readline()
    own, prompts = predictor()
    time.sleep(2)
    asked(port, prompts[0], 0)
    alone, over, extra = [], [], []
    for number in range(options.rows):
        prompt = prompts[number % len(prompts)]
        begun = time.perf_counter()
        stream = own.stream({"prompt": prompt, "options": {**OPTIONS, "seed": number}})
        next(iter(stream))
        alone.append((time.perf_counter() - begun) * 1000)
        over.append(asked(port, prompt, number)[0])
        extra.append(over[-1] - alone[-1])
    before = memory_mb(server.pid, "VmRSS")
    Path(f"/proc/{server.pid}/clear_refs").write_text("5", encoding="ascii")
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        begun = time.perf_counter()
        found = list(pool.map(lambda n: asked(port, prompts[n % len(prompts)], n), range(_AT_ONCE * 2)))
        wall = time.perf_counter() - begun
    peak = memory_mb(server.pid, "VmHWM")
    server.kill()
    server.wait()
    answered = sum(status == 200 for _, status in found)
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "uvicorn", "starlette"))
    RESULT.write_text(
        "\n".join(
            [
                "# Writing: streams over HTTP\n",
                f"`python benchmarks/writing_streams.py --rows {options.rows}`, {date.today().isoformat()}, {platform.machine()}, a machine of 2 cores that did other work; {packages}. N-grams on "
                f"passages of the Brown corpus, texts of at most {OPTIONS['max_chars']} characters at temperature {OPTIONS['temperature']}; the server is a process of its own, without a journal.\n",
                f"First sentence, ms, median and 95th percentile of {options.rows} prompts: the model alone {middle(alone):.1f} and {middle(alone, 0.95):.1f}; over HTTP {middle(over):.1f} and "
                f"{middle(over, 0.95):.1f}; the difference, prompt by prompt, {middle(extra):.1f} and {middle(extra, 0.95):.1f}.\n",
                f"{_AT_ONCE} streams at once, {len(found)} in all: {answered} answered whole, in {wall:.1f} s. Memory of the server: {before:.0f} MB before, {peak:.0f} MB at most.",
            ]
        )
        + "\n",
        encoding="utf-8",
    )
    print(RESULT.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
