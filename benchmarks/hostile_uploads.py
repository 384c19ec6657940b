"""A thousand hostile uploads to a server of image models: no answer of 500, and memory that stays flat.

    python benchmarks/hostile_uploads.py             # 1,000 to a classifier, 300 to a reader of documents
    python benchmarks/hostile_uploads.py --count 200

Uploads come in an order drawn once, each of a family below with its own numbers: damaged, cut off, huge, empty, disguised, mutated files in
forms and as base64 in JSON, and bodies that are no form. The server is `rung serve` in a process of its own. Writes benchmarks/results/hostile_uploads.md.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import io
import json
import os
import platform
import random
import socket
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from image_data import fashion
from PIL import Image

import rung
from rung.modalities.images.png import write_png
from rung.tasks.document_reading import draw_digits

RESULT = Path(__file__).parent / "results" / "hostile_uploads.md"
CLASSIFIER = """name: garments
task: image_classification
data: {path: garments, near_duplicates: keep}
bar: {metric: accuracy, at_least: 0.5}
budget: {effort: 1, threads: 1}
ladder: [majority, hog_linear]
"""
READER = """name: meters
task: document_reading
data: {path: meters, near_duplicates: keep}
bar: {metric: reading_accuracy, at_least: 0.5}
budget: {effort: 1, threads: 1}
ladder: [no_text, {model: page_reader, params: {least_side: 160, most_side: 640, most_rows: 10}}]
"""
Body = tuple[bytes, str]
LIMIT_S = 120
# The same uploads come again and again: what is kept once is there after the first round, what grows after it leaks.
ROUNDS = 3


def sound(rng: random.Random) -> bytes:
    """Return an image of some format and size that can be read."""
    pixels = np.random.default_rng(rng.randrange(1 << 30)).integers(
        0, 256, (rng.randrange(1, 200), rng.randrange(1, 200), 3)
    )
    out = io.BytesIO()
    kind = rng.choice(["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"])
    Image.fromarray(pixels.astype(np.uint8)).save(out, kind)
    return out.getvalue()


def cut_off(rng: random.Random) -> bytes:
    """Return the beginning of an image."""
    data = sound(rng)
    return data[: rng.randrange(len(data))]


def mutated(rng: random.Random) -> bytes:
    """Return an image with some bytes changed."""
    data = bytearray(sound(rng))
    for _ in range(rng.randrange(1, 40)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data)


def claimed(rng: random.Random) -> bytes:
    """Return a PNG whose header says it is huge, or nothing."""
    sides = rng.choice([(20_000, 20_000), (1 << 31, 1), (0, 0), (60_000, 900), (1, 40_000)])
    return _png(*sides, zlib.compress(b"\0" * 1000))


def bomb(rng: random.Random) -> bytes:
    """Return a small PNG of as many pixels as are allowed, or more."""
    side = rng.choice([5_000, 7_000, 9_000])
    return _png(side, side, zlib.compress(b"\0" * (side * (side + 1)), 9))


def _png(width: int, height: int, pixels: bytes) -> bytes:
    def part(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", pixels) + part(b"IEND", b"")


def disguised(rng: random.Random) -> bytes:
    """Return what is no image under the name of one."""
    return rng.choice(
        [
            b"", b"%!PS-Adobe-3.0 EPSF-3.0\n" * 50, b"<html><script>alert(1)</script></html>", b"PK\x03\x04" + b"\0" * 500,
            b"\0\0\0\x18ftypheic" + b"\0" * 300, b"\x1f\x8b\x08" + b"\0" * 99, rng.randbytes(rng.randrange(1, 4000)),
            b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"GIF89a", b"\xff\xd8\xff", b"BM" + b"\xff" * 60, b"II*\0" + b"\xff" * 60,
            b"RIFF\xff\xff\xff\xffWEBPVP8 ", b"\0" * 128 + b"DICM" + rng.randbytes(200),
        ]
    )  # fmt: skip


def tiny(rng: random.Random) -> bytes:
    """Return an image of a pixel or a line of pixels."""
    return write_png(np.zeros(rng.choice([(1, 1), (1, 3000), (3000, 1)]), np.uint8))


FILES: dict[str, Callable[[random.Random], bytes]] = {
    "cut off": cut_off, "bytes changed": mutated, "size claimed in the header": claimed, "decompression bomb": bomb,
    "no image at all": disguised, "a pixel, a line": tiny, "sound": sound,
}  # fmt: skip
# How often each family comes: bombs cost a second each.
WEIGHTS = {"cut off": 5, "bytes changed": 6, "no image at all": 5, "decompression bomb": 1}


def as_form(data: bytes, rng: random.Random) -> Body:
    """Return a form with the file, perhaps twice, perhaps with strange names or a broken end."""
    edge = "edge"
    names = rng.choice([["image"], ["image"], ["image", "image"], ["image", "other"], ["../image"], [""]])
    file = rng.choice(["a.png", "../../etc/passwd", "图片.jpg", 'a"; x="', "a" * 3000, "\0.png"])
    parts = [
        f'--{edge}\r\nContent-Disposition: form-data; name="{name}"; filename="{file}"\r\nContent-Type: image/png\r\n\r\n'.encode()
        + data
        + b"\r\n"
        for name in names
    ]
    end = rng.choice([f"--{edge}--\r\n", f"--{edge}--\r\n", "", "--edg"])
    return b"".join(parts) + end.encode(), f"multipart/form-data; boundary={edge}"


def as_json(data: bytes, rng: random.Random) -> Body:
    """Return JSON with the file as base64, perhaps with line breaks, or something else in its place."""
    text = base64.b64encode(data).decode()
    value: Any = rng.choice(
        [
            text, {"base64": text, "name": "a.png"}, "\n".join(text[i : i + 76] for i in range(0, len(text), 76)), text[:-1],
            "/etc/passwd", "http://127.0.0.1:1/x.png", "data:image/png;base64," + text, None, 5, [text], {"path": "/etc/passwd"},
        ]
    )  # fmt: skip
    return json.dumps({"inputs": [{"image": value}]}).encode(), "application/json"


def as_nonsense(data: bytes, rng: random.Random) -> Body:
    """Return a body that is neither."""
    return rng.choice(
        [
            (data, "application/json"), (data, "multipart/form-data"), (data, "image/png"), (b"[" * 5000, "application/json"),
            (b'{"inputs": [{"image": NaN}]}', "application/json"), (data, "multipart/form-data; boundary="), (b"", "application/json"),
        ]
    )  # fmt: skip


SENT = {"form": as_form, "JSON": as_json, "other body": as_nonsense}


def uploads(count: int) -> list[tuple[str, Body]]:
    """Return bodies with the name of their family, the same ones each time."""
    rng = random.Random(0)
    families = [name for name in FILES for _ in range(WEIGHTS.get(name, 2))]
    found = []
    for _ in range(count):
        name, way = rng.choice(families), rng.choice(["form", "form", "JSON", "other body"])
        found.append((f"{name}, {way}", SENT[way](FILES[name](rng), rng)))
    return found


def memory_mb(pid: int, what: str) -> float:
    """Return VmRSS or VmHWM of a process, in 10^6 bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(what):
            return int(line.split()[1]) * 1024 / 1e6
    return float("nan")


def send(port: int, path: str, body: Body) -> int:
    """Return the status of an upload; 0 where the server closed the connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_S)
    try:
        connection.request("POST", path, body[0], {"Content-Type": body[1]})
        reply = connection.getresponse()
        reply.read()
        return reply.status
    except (ConnectionError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def attack(bundle: Path, model: str, count: int) -> str:
    """Return a row of the table for a served bundle."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = [str(Path(sys.executable).with_name("rung")), "serve", str(bundle), "--port", str(port)]
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | {"OMP_NUM_THREADS": "1"})
        try:
            _wait(port, server, log)
            return _attacked(server.pid, port, model, count)
        finally:
            server.terminate()
            server.wait(30)


def _attacked(pid: int, port: int, model: str, count: int) -> str:
    statuses: Counter[int] = Counter()
    slowest, kept = 0.0, []
    for _ in range(ROUNDS):
        for family, body in uploads(count):
            begun = time.perf_counter()
            status = send(port, f"/v1/models/{model}/predict", body)
            statuses[status] += 1
            slowest = max(slowest, time.perf_counter() - begun)
            if status >= 500 or status == 0:
                print(f"{model}: {family}: {status}", flush=True)
        kept.append(memory_mb(pid, "VmRSS"))
    wrong = sum(n for status, n in statuses.items() if status >= 500 or status == 0)
    said = ", ".join(f"{status}: {n}" for status, n in sorted(statuses.items()))
    after = " | ".join(f"{mb:.0f}" for mb in kept)
    return f"| {model} | {ROUNDS} x {count} | {wrong} | {said} | {after} | {memory_mb(pid, 'VmHWM'):.0f} | {slowest:.1f} |"


def _wait(port: int, server: subprocess.Popen[bytes], log: Any) -> None:
    for _ in range(600):
        if server.poll() is not None:
            log.seek(0)
            sys.exit(log.read().decode()[-2000:])
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.2)
    sys.exit("the server does not answer")


def garments(folder: Path) -> Path:
    """Build a classifier of 400 garments; return its bundle."""
    split = fashion(400, 1)
    for number, (image, label) in enumerate(zip(split.train, split.train_labels, strict=True)):
        path = folder / "garments" / label / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(write_png(image))
    return _built(folder / "garments.yaml", CLASSIFIER)


def meters(folder: Path) -> Path:
    """Build a reader of 60 drawn numbers; return its bundle."""
    (folder / "meters").mkdir()
    rng = random.Random(0)
    for number in range(60):
        digits = str(rng.randrange(10_000, 100_000))
        (folder / "meters" / f"{number}.png").write_bytes(draw_digits(digits))
        (folder / "meters" / f"{number}.txt").write_text(digits)
    return _built(folder / "meters.yaml", READER)


def _built(path: Path, spec: str) -> Path:
    path.write_text(spec)
    built = rung.build(path)
    return Path(built.bundle or built.folder / "bundle")


def main() -> None:
    """Build, attack, write the page."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--count", type=int, default=1000)
    count = asked.parse_args().count
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for make, model, n in ((garments, "garments", count), (meters, "meters", max(count * 3 // 10, 1))):
            rows.append(attack(make(Path(scratch)), model, n))
            print(rows[-1], flush=True)
    RESULT.write_text(
        f"""# Hostile uploads

Written by `benchmarks/hostile_uploads.py` on {date.today()}; {platform.machine()}, {os.cpu_count()} cores shared with other work; Python {platform.python_version()}.

`rung serve` in a process of its own, one client, uploads one after the other: {", ".join(FILES)}; as {", ".join(SENT)}; seed 0. `garments`: hog_linear on 400 images of
Fashion-MNIST; `meters`: page_reader with PP-OCRv4. Wrong: answers of 500 and above, and closed connections. A row that cannot be answered in a
request of 200 says so in its `error`. The same uploads come in three rounds. MB: memory of the server after each, and the most it
had (a PNG of 49 million pixels is 49 MB of grey levels).

| model | uploads | wrong | statuses | MB after 1 | MB after 2 | MB after 3 | MB most | slowest s |
|---|---|---|---|---|---|---|---|---|
{chr(10).join(rows)}
""",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
