"""Measure two states of the code side by side: imports, packages, serving, accuracy, the demo.

    python benchmarks/before_after.py BEFORE AFTER                     # everything: about half an hour
    python benchmarks/before_after.py BEFORE AFTER --only import help  # these measures; the others are kept
    python benchmarks/before_after.py BEFORE AFTER --only tests        # make test of both: not part of everything
    python benchmarks/before_after.py --write                          # only the page

BEFORE, AFTER: folders of a git checkout; what counts is the commit they are at. Each commit is unpacked beside rung's cache
and installed with `[tables,ops]` in an environment of its own, through its own constraints.txt; an environment is kept for
the next call. What takes time is measured alternately, round after round, and the least of the rounds counts. Serving
needs wrk. Figures are kept in benchmarks/results/before_after.jsonl, from which before_after.md is written.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from serving_servers import Running, Server
from sets import CACHE

from serving import load

RESULTS = Path(__file__).parent / "results"
KEPT = RESULTS / "before_after.jsonl"
ROUNDS = 5
SECONDS = 3.0
SIDES = ("before", "after")
NEWS = Path("examples") / "news"
# The rung whose server is measured.
SERVED = "tfidf_linear"
_TIMEOUT_S = 3600.0
Figures = dict[str, float]


@dataclass(frozen=True)
class Checkout:
    """A commit, unpacked into a folder. python: of its environment."""

    side: str
    commit: str
    folder: Path
    python: Path

    def run(self, *command: str | Path, cwd: Path | None = None) -> str:
        """Return what a command of its environment prints; raises SystemExit with what it says when it fails."""
        return _run([str(self.python), *map(str, command)], cwd or self.folder)

    def rung(self, *arguments: str | Path, cwd: Path | None = None) -> str:
        """Return what its `rung` prints."""
        return _run([str(self.python.with_name("rung")), *map(str, arguments)], cwd or self.folder)


def _run(command: list[str], cwd: Path) -> str:
    # Neither this checkout nor its environment may be seen.
    env = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    done = subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{(done.stderr or done.stdout)[-2000:]}")
    return done.stdout


def prepare(side: str, path: Path) -> Checkout:
    """Return a checkout with its environment, made when this commit has none."""
    commit = _run(["git", "rev-parse", "--short=10", "HEAD"], path).strip()
    home = CACHE / "before_after" / commit
    folder, python, ready = home / "code", home / "env" / "bin" / "python", home / "ready"
    if not ready.is_file():
        print(f"installing {side} ({commit})", file=sys.stderr, flush=True)
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        _run(["git", "archive", "-o", str(home / "code.tar"), "HEAD"], path)
        shutil.unpack_archive(home / "code.tar", folder, filter="data")
        venv.create(home / "env", with_pip=True)
        _run(
            [str(python), "-m", "pip", "install", "-q", "-c", "constraints.txt", "-e", ".[tables,ops]"],
            folder,
        )
        # Written last: if this file exists, code and environment are whole.
        ready.touch()
    found = Checkout(side, commit, folder, python)
    own = found.run("-c", "import rung; print(rung.__file__)").strip()
    if not Path(own).is_relative_to(folder):
        raise SystemExit(f"the environment of {side} imports another rung: {own}")
    return found


def imports(checkout: Checkout) -> Figures:
    """Return processor seconds of imports: a busy neighbour disturbs them least."""
    timed = "import time; t = time.process_time(); {}; print(time.process_time() - t)"
    return {
        f"`{what}`, CPU s": float(checkout.run("-c", timed.format(what), cwd=checkout.python.parent))
        for what in ("import rung", "from rung import load", "from rung import build")
    }


def help_(checkout: Checkout) -> Figures:
    """Return the seconds of `rung --help`, the start of Python included."""
    begun, used = time.perf_counter(), _children()
    checkout.rung("--help")
    return {"`rung --help`, s": time.perf_counter() - begun, "`rung --help`, CPU s": _children() - used}


def _children() -> float:
    """Return the processor time of all processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def packages(checkout: Checkout) -> Figures:
    """Return how many packages pip would install into an empty environment, rung itself included."""
    found = {}
    for name, extra in (("base", ""), ("`[build]`", "[build]")):
        told = checkout.run(
            "-m", "pip", "install", "-q", "--dry-run", "--ignore-installed", "--report", "-",
            "-c", "constraints.txt", f".{extra}",
        )  # fmt: skip
        found[f"packages of {name}"] = float(len(json.loads(told)["install"]))
    return found


def bundle_of(checkout: Checkout) -> Path:
    """Return a bundle of the demo's data with the one rung SERVED, built by this checkout when it has none.

    One rung by name: the two states of the code may choose different winners, and a comparison of servers needs one model.
    """
    run = checkout.folder / NEWS / "runs" / f"bench_{SERVED}"
    if not (run / "bundle" / "manifest.json").is_file():
        checkout.run("examples/fetch.py", "news")
        product = checkout.folder / NEWS / f"{SERVED}.yaml"
        demo = (checkout.folder / NEWS / "product.yaml").read_text(encoding="utf-8")
        product.write_text(demo + f"ladder: [{SERVED}]\n", encoding="utf-8")
        checkout.rung("build", product, "--run", run)
    return run / "bundle"


@contextmanager
def serving(checkout: Checkout) -> Iterator[Running]:
    """Yield `rung serve` of the bundle of `bundle_of`, with key, journal, limits and metrics on."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "service"
        made = checkout.rung("keys", "create", "bench", "--folder", folder, "--json", cwd=Path(scratch))
        bundle = bundle_of(checkout)
        command = [
            str(checkout.python),
            "-m",
            "rung.cli",
            "serve",
            str(bundle),
            "--folder",
            str(folder),
            "--port",
        ]
        server = Server(
            checkout.side, lambda port: [*command, str(port)], "/v1/models/news/predict", key=json.loads(made)["key"]
        )  # fmt: skip
        running = Running(server, bundle)
        try:
            yield running
        finally:
            running.end()


def serve(checkout: Checkout) -> Figures:
    """Return seconds until the first answer, and requests a second and p50 at 1 and 32 connections."""
    found: Figures = {}
    with serving(checkout) as running, tempfile.TemporaryDirectory() as scratch:
        found["`rung serve` until its first answer, s"] = running.ready_seconds
        load(running, 8, 1.0, Path(scratch))
        for connections in (1, 32):
            rate, p50, _, cpu = load(running, connections, SECONDS, Path(scratch))
            found[f"requests/s, {connections} connections"] = rate
            found[f"p50 ms, {connections} connections"] = p50
            found[f"CPU ms a request, {connections} connections"] = cpu
    return found


def text(checkout: Checkout) -> Figures:
    """Return test accuracies of ten newsgroups with a hundred documents each."""
    names = ("tfidf_linear", "static_embedding")
    for_each = [word for name in names for word in ("--only", name)]
    told = checkout.run("benchmarks/text.py", "--case", "ten", "--repeat", "1", *for_each)
    rows = re.findall(r"^\| rung (\w+), effort \d+ \| ([\d.]+) \|", told, re.M)
    return {f"ten newsgroups, {name}: accuracy": float(score) for name, score in rows}


def tables(checkout: Checkout) -> Figures:
    """Return the ROC-AUC of German credit on its first split."""
    told = checkout.run(
        "benchmarks/tabular.py", "--case", "credit", "--splits", "0", "--dry",
        "--contenders", "linear_table", "boosted_trees",
    )  # fmt: skip
    lines = [json.loads(line) for line in told.splitlines() if line.startswith("{")]
    return {f"German credit, {line['contender']}: ROC-AUC": line["score"] for line in lines}


def _make(checkout: Checkout, target: str) -> float:
    """Return the seconds of a target of make in a fresh copy without an environment, packages in pip's cache."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "code"
        shutil.unpack_archive(checkout.folder.with_suffix(".tar"), copy, filter="data")
        begun = time.perf_counter()
        _run(["make", target], copy)
        return time.perf_counter() - begun


def demo(checkout: Checkout) -> Figures:
    """Return the seconds of `make demo`."""
    return {"`make demo`, s": _make(checkout, "demo")}


def tests(checkout: Checkout) -> Figures:
    """Return the seconds of `make test`, its installation included."""
    return {"`make test`, s": _make(checkout, "test")}


# Measure -> what it runs, and how often on each side.
MEASURES: dict[str, tuple[Callable[[Checkout], Figures], int]] = {
    "import": (imports, ROUNDS), "help": (help_, ROUNDS), "packages": (packages, 1), "serve": (serve, 9),
    "text": (text, 1), "tables": (tables, 1), "demo": (demo, 2), "tests": (tests, 1),
}  # fmt: skip
# Most is best; of everything else the least.
_MOST = ("requests/s", "accuracy", "ROC-AUC")


def measure(name: str, sides: list[Checkout]) -> list[dict[str, object]]:
    """Return a line for each figure of a measure, both sides taken in turns."""
    run, rounds = MEASURES[name]
    found: dict[str, dict[str, list[float]]] = {}
    for number in range(rounds):
        for checkout in sides if number % 2 == 0 else sides[::-1]:
            for row, value in run(checkout).items():
                found.setdefault(row, {side: [] for side in SIDES})[checkout.side].append(value)
    lines: list[dict[str, object]] = []
    for row, values in found.items():
        best = max if any(word in row for word in _MOST) else min
        line: dict[str, object] = {"measure": name, "row": row, "rounds": rounds}
        line |= {"date": time.strftime("%Y-%m-%d"), "python": platform.python_version()}
        line |= {"cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1)}
        for checkout in sides:
            all_values = values[checkout.side]
            line[checkout.side] = float(f"{best(all_values):.5g}") if all_values else None
            line[f"{checkout.side}_commit"] = checkout.commit
        lines.append(line)
        print(json.dumps(line), flush=True)
    return lines


def kept() -> list[dict[str, object]]:
    """Return all figures that are kept."""
    if not KEPT.is_file():
        return []
    return [json.loads(line) for line in KEPT.read_text(encoding="utf-8").splitlines()]


def keep(name: str, lines: list[dict[str, object]]) -> None:
    """Put the figures of a measure in place of those it had."""
    found = [line for line in kept() if line["measure"] != name] + lines
    found.sort(key=lambda line: list(MEASURES).index(str(line["measure"])))
    KEPT.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in found), encoding="utf-8")


def page(lines: list[dict[str, object]]) -> str:
    """Return before_after.md."""
    head = """# Before and after

Written by `python benchmarks/before_after.py BEFORE AFTER`: two commits, each in an environment of its own, measured in turns on
one machine. Of the rounds the least counts, of requests a second the most. Packages count rung itself. Serving: the demo's
data with the ladder `[tfidf_linear]` on both sides, with key, journal, limits and metrics on, loaded by wrk on the same machine. Ten newsgroups: 1,000
documents drawn with `random.Random(0)`, effort 2. German credit: split 0 (`random_state=0`), a quarter to test, effort 2.
`make demo` and `make test` install into a new environment, packages in pip's cache. Ratios count, not seconds: the machine is shared,
and its load is given."""
    rows = [
        "| figure | before | after | after to before | rounds | commits | date, cores, load |",
        "|" + "---|" * 7,
    ]
    for line in lines:
        before, after = line["before"], line["after"]
        told = ["" if value is None else f"{value:g}" for value in (before, after)]
        ratio = f"{after / before:.2f}" if before and after else ""  # type: ignore[operator]
        rows.append(
            f"| {line['row']} | {told[0]} | {told[1]} | {ratio} | {line['rounds']} | {line['before_commit']}, {line['after_commit']} | "
            f"{line['date']}, {line['cores']}, {line['load']} |"
        )
    machine = f"{platform.machine()}, Python {', '.join(sorted({str(line['python']) for line in lines}))}."
    return "\n".join([head, "", machine, "", *rows]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("before", type=Path, nargs="?")
    parser.add_argument("after", type=Path, nargs="?")
    parser.add_argument("--only", nargs="+", choices=list(MEASURES))
    parser.add_argument("--dry", action="store_true", help="print, keep nothing")
    parser.add_argument("--write", action="store_true", help="only write the page")
    asked = parser.parse_args()
    if not asked.write:
        if asked.after is None:
            parser.error("name two checkouts")
        sides = [prepare(side, path) for side, path in zip(SIDES, (asked.before, asked.after), strict=True)]
        for name in asked.only or [name for name in MEASURES if name != "tests"]:
            lines = measure(name, sides)
            if not asked.dry:
                keep(name, lines)
    if not asked.dry:
        (RESULTS / "before_after.md").write_text(page(kept()), encoding="utf-8")


if __name__ == "__main__":
    main()
