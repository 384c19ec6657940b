"""`rung compare`: people choose between the texts of two bundles; how often each is preferred."""

from __future__ import annotations

import csv
from dataclasses import asdict
from pathlib import Path

import click

from rung.cli.options import as_json, console, heed_interrupts, lang, print_json, user_name
from rung.cli.terminal import echo

_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


@click.group(
    epilog="\b\nExamples:\n  rung compare write runs/a/bundle runs/b/bundle prompts.csv -o pairs\n  rung compare choose pairs --by Ana\n"
    "  rung compare ask pairs local smollm2\n  rung compare show pairs"
)
def command() -> None:
    """Compare the texts of two bundles: people choose without knowing whose is whose; the win rate has an exact bound."""


@command.command(
    "write", epilog="\b\nExample:\n  rung compare write runs/a/bundle runs/b/bundle prompts.csv -o pairs"
)
@click.argument("one", type=_FOLDER)
@click.argument("other", type=_FOLDER)
@click.argument("prompts", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "-o",
    "--out",
    "folder",
    type=click.Path(path_type=Path),
    default="pairs",
    show_default=True,
    help="A new folder.",
)
@click.option("--count", type=click.IntRange(1, 100_000), help="Rows to read from the file. Default: all.")
@as_json
def write_command(
    one: Path, other: Path, prompts: Path, folder: Path, count: int | None, as_json: bool
) -> None:
    """Answer the rows of PROMPTS (CSV) by both bundles. Take rows that neither has learned from."""
    from rung.core.messages import say
    from rung.workflows.compare import write_pairs

    with prompts.open(encoding="utf-8-sig", newline="") as file:
        rows = [row for row, _ in zip(csv.DictReader(file), range(count or 100_000), strict=False)]
    found = write_pairs(one, other, rows, folder)
    same = sum(pair.one == pair.other for pair in found.pairs)
    if as_json:
        print_json({"folder": str(folder), "pairs": len(found.pairs), "same": same})
    else:
        echo(say("pairs.wrote", lang(), n=len(found.pairs), same=same, folder=str(folder)))


@command.command("choose", epilog="\b\nExample:\n  rung compare choose pairs --by Ana")
@click.argument("folder", type=_FOLDER)
@click.option("--by", metavar="NAME", help="Your name. Default: your login name; the page asks for it.")
@click.option(
    "--port",
    default=0,
    type=click.IntRange(0, 65535),
    help="Port of the page on 127.0.0.1. Default: a free port.",
)
@as_json
def choose_command(folder: Path, by: str | None, port: int, as_json: bool) -> None:
    """Choose between the texts of FOLDER on a page. With --json, the progress at its end."""
    heed_interrupts()
    from rung.annotation.app import create_labelling_app, serve_labelling_page
    from rung.annotation.serializers import progress_to_dict
    from rung.core.messages import say
    from rung.workflows.compare import open_pair_session

    words, screen = lang(), console(stderr=True)
    with open_pair_session(folder, words) as session:
        author = by or user_name()
        serve_labelling_page(
            lambda token, hosts: create_labelling_app(session, token, hosts, words, author, session.title),
            port,
            lambda address: screen.print(say("label.at", words, address=address), markup=False),
        )
        if as_json:
            print_json(progress_to_dict(session, author))


@command.command("ask", epilog="\b\nExample:\n  rung compare ask pairs local smollm2")
@click.argument("folder", type=_FOLDER)
@click.argument("service")
@click.argument("model")
@as_json
def ask_command(folder: Path, service: str, model: str, as_json: bool) -> None:
    """Let MODEL at SERVICE judge the pairs of FOLDER. What it says counts for nothing beside people; its agreement with them is shown."""
    from rung.core.messages import say
    from rung.workflows.compare import ask_judge

    judged = ask_judge(folder, service, model)
    if as_json:
        print_json({"model": model, "judged": judged})
        return
    echo(say("pairs.asked", lang(), n=judged, model=model))


@command.command("show", epilog="\b\nExample:\n  rung compare show pairs")
@click.argument("folder", type=_FOLDER)
@as_json
def show_command(folder: Path, as_json: bool) -> None:
    """Show how often each bundle is preferred, with its bound, and how far a language model agrees with people."""
    from rung.core.messages import percent, say
    from rung.workflows.compare import LEAST_JUDGED, results

    people, model, agreement, name = results(folder)
    if as_json:
        print_json({
            "people": people.as_dict(), "model": model.as_dict() if model else None, "agreement": asdict(agreement) if agreement else None
        })  # fmt: skip
        return
    words = lang()
    for who, found in (("people", people), ("model", model)):
        if found is None:
            continue
        echo(say(f"pairs.by_{who}", words, model=name, n=found.prompts, open=found.open, equal=found.equal))
        for side in (0, 1):
            share = found.wins[side] / max(found.prompts, 1)
            echo(say("pairs.won", words, name=found.names[side], wins=found.wins[side], share=percent(share, 1), lower=percent(found.lower[side], 1)))  # fmt: skip
    if agreement is not None:
        shown = {"n": agreement.pairs, "agree": agreement.agree, "lower": percent(agreement.lower, 1)}
        echo(say("pairs.agreement", words, model=name, kappa=f"{agreement.kappa:.2f}", **shown))
    if name and model is None:
        echo(say("pairs.unknown", words, model=name, n=LEAST_JUDGED))
