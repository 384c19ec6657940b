"""`rung build`: build a product, with live progress."""

from __future__ import annotations

from pathlib import Path

import click

from rung.cli.options import as_json, lang, print_json


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
    if as_json:
        print_json({"run": str(done.folder), "bundle": str(done.bundle), "report": dict(done.report)})
    else:
        print_outcome(done.report, done.folder, done.bundle, words)
    no_claim_asked = is_unasked(done.report["data"])
    winner = next((t for t in done.report["trials"] if t["rung"] == done.report["winner"]), None)
    cleared = done.cleared or (no_claim_asked and winner is not None and winner["status"] == "cleared")
    click.get_current_context().exit(0 if cleared else 3)
