"""`rung build`: build a product, with live progress."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rung.cli.options import as_json, lang, print_json

if TYPE_CHECKING:
    from rung.workflows.build import Build


@click.command(
    epilog="\b\nExamples:\n  rung build product.yaml\n  rung build product.yaml --run runs/try --all-rungs\n"
    "  rung build product.yaml --track mlflow:sqlite:///mlflow.db --track tensorboard:events\n\n"
    "After an interruption the same command resumes after the last completed step."
)
@click.argument("product", type=click.Path(path_type=Path), default="product.yaml")
@click.option(
    "--run",
    type=click.Path(path_type=Path, file_okay=False),
    help="Run folder. Default: runs/<name>-NNN beside the product file.",
)
@click.option("--all-rungs", is_flag=True, help="Also measure the rungs above the winner, and race none.")
@click.option(
    "--engine",
    metavar="[local|ray|ray://HOST:PORT]",
    help="Where fits run. Default: `engine` of the product file, else local.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    help="Fits at the same time on this machine. Default: `budget.workers` of the product file.",
)
@click.option(
    "--fetch/--no-fetch",
    default=None,
    help="Download missing weights. Default: ask on a terminal, else skip rungs that need them.",
)
@click.option(
    "--track",
    multiple=True,
    metavar="WHERE",
    help="Track the run in mlflow:URI or tensorboard:DIR. Repeatable.",
)
@as_json
def command(
    product: Path,
    run: Path | None,
    all_rungs: bool,
    engine: str | None,
    workers: int | None,
    fetch: bool | None,
    track: tuple[str, ...],
    as_json: bool,
) -> None:
    """Build PRODUCT (default: product.yaml). Exits 3 if no rung clears the bar; the best one is packed anyway."""
    from rung.building.advice import is_unasked
    from rung.cli.leaderboard import print_outcome
    from rung.cli.progress import Progress
    from rung.workflows.build import build

    words = lang()
    with Progress(words, quiet=as_json) as progress:
        asked = progress.ask_fetch if fetch is None and not as_json else fetch
        done = build(
            product, run=run, all_rungs=all_rungs, on_event=progress, engine=engine, lang=words, track=track,
            fetch=asked, workers=workers,
        )  # fmt: skip
    shown = {"run": str(done.folder), "bundle": str(done.bundle), "report": dict(done.report)}
    if not as_json:
        print_outcome(done.report, done.folder, done.bundle, words)
    smaller = _smaller(product, done, words, as_json)
    if as_json:
        print_json(shown if smaller is None else {**shown, "compressed": smaller})
    no_claim_asked = is_unasked(done.report["data"])
    winner = next((t for t in done.report["trials"] if t["rung"] == done.report["winner"]), None)
    cleared = done.cleared or (no_claim_asked and winner is not None and winner["status"] == "cleared")
    click.get_current_context().exit(0 if cleared else 3)


def _smaller(product: Path, done: Build, words: str, as_json: bool) -> dict[str, Any] | None:
    """Make the winner smaller where the product has a section `compress`, and print or return what came of it; None without one.

    Whatever comes of it, the build stands: its bundle ships as before.
    """
    from rung.cli.compress import as_value, print_compressed
    from rung.cli.progress import Progress
    from rung.core.errors import RungError
    from rung.core.spec.product import load_product
    from rung.workflows.compress import compress

    if load_product(product)[0].compress is None or done.report["winner"] is None:
        return None
    try:
        with Progress(words, quiet=as_json) as progress:
            found = compress(done.folder, product=product, on_event=progress, lang=words)
    except RungError as error:
        problem = str(error)
        click.echo(problem, err=True)
        return {"verdict": "refused", "problem": problem}
    if not as_json:
        print_compressed(found, words)
    return as_value(found)
