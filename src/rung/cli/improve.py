"""`rung improve`: train a challenger on feedback and promote it if it is provably non-inferior."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rung.cli.options import as_json, console, lang, print_json

if TYPE_CHECKING:
    from rung.workflows.improve import Improvement


def _parse_duration(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    found = re.fullmatch(r"(\d+)([mhd])", value) if value else None
    if value and (not found or not int(found[1])):
        raise click.BadParameter(f"'{value}' is not a duration. Write 30m, 12h or 1d.")
    return int(found[1]) * {"m": 60.0, "h": 3_600.0, "d": 86_400.0}[found[2]] if found else None


@click.command(
    epilog="\b\nExamples:\n  rung improve product.yaml\n  rung improve product.yaml --status\n  rung improve product.yaml --every 1d\n\n\b\n"
    "Check for drift every hour, and improve only after an alarm:\n  rung improve product.yaml --every 60m --if-drift\n\n\b\n"
    "As a cron job, every night at three:\n  0 3 * * *  cd /srv/news && rung improve --json >> improve.log"
)
@click.argument("product", type=click.Path(path_type=Path), default="product.yaml")
@click.option(
    "--by", metavar="NAME", default="rung improve", show_default=True, help="Author for the history."
)
@click.option("--status", is_flag=True, help="Show the available feedback and exit.")
@click.option(
    "--every", metavar="TIME", callback=_parse_duration, help="Repeat every 30m, 12h or 1d until interrupted."
)
@click.option("--end-shadow", is_flag=True, help="End the challenger's shadow run and exit.")
@click.option("--if-drift", is_flag=True, help="Only if `rung drift` reports drift that is not acknowledged.")
@as_json
def command(
    product: Path, by: str, status: bool, every: float | None, end_shadow: bool, if_drift: bool, as_json: bool
) -> None:
    """Train a challenger for PRODUCT (default: product.yaml) on accepted feedback; promote it if it is non-inferior.

    With `improve.shadow` in the spec the challenger first runs in shadow of the champion; a later call promotes or
    rejects it. Exits 0 if it was promoted or there is nothing to do yet, 3 if the challenger was rejected.
    """
    from rung.core.errors import RungError
    from rung.core.messages import say

    words = lang()
    if end_shadow:
        _end_shadow(product, by, as_json, words)
        return
    while True:
        try:
            found = (
                _attempt(product, by, status, as_json, words)
                if not if_drift or _has_drifted(product, as_json, words)
                else None
            )
        except RungError as error:
            if every is None:
                raise
            console(stderr=True).print(str(error), markup=False)
            found = None
        if every is None or status:
            context = click.get_current_context()
            context.exit(3 if found is not None and found.verdict == "kept" else 0)
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(time.time() + every))
        console(stderr=True).print(say("improve.again", words, when=when), markup=False)
        time.sleep(every)


def _end_shadow(product: Path, by: str, as_json: bool, words: str) -> None:
    from rung.core.messages import say
    from rung.serving.promotion import as_dict
    from rung.workflows.improve import withdraw_shadow

    change = withdraw_shadow(product, by, words)
    if as_json:
        print_json(as_dict(change) if change else None)
    else:
        console().print(say("improve.shadow_ended" if change else "improve.no_shadow", words), markup=False)


def _has_drifted(product: Path, as_json: bool, words: str) -> bool:
    """Return whether served data has drifted; print a message if it has not."""
    from rung.core.messages import say
    from rung.workflows.monitor import check_drift

    report = check_drift(product).report
    if not report["drifted"]:
        if as_json:
            print_json(
                {"verdict": "waiting", "reasons": [{"key": "no_drift", "rows": report["period"]["rows"]}]}
            )
        else:
            console().print(say("improve.no_drift", words, rows=report["period"]["rows"]), markup=False)
    return bool(report["drifted"])


def _attempt(product: Path, by: str, status: bool, as_json: bool, words: str) -> Improvement:
    """Make one attempt, print its outcome and return it."""
    from rung.cli.progress import Progress
    from rung.workflows.improve import improve, improvement_to_dict

    with Progress(words, quiet=as_json) as progress:
        found = improve(product, who=by, dry=status, on_event=progress, lang=words)
    if as_json:
        print_json(improvement_to_dict(found))
    else:
        _print_outcome(found, words)
    return found


def _print_outcome(found: Improvement, words: str) -> None:
    from rung.core.messages import say
    from rung.pages.replay import lines as replay_lines
    from rung.workflows.improve import describe
    from rung.workflows.shadow import describe as shadow_in_words

    screen = console()

    def line(key: str, **values: Any) -> None:
        screen.print(say(f"improve.{key}", words, **values), markup=False)

    facts = found.facts
    line("accepted", n=facts["accepted"])
    for reason, n in facts["aside"].items():
        line("aside", why=say(f"improve.why_{reason}", words), n=n)
    line("audit", **facts["audit"])
    if found.build is not None:
        line("provenance", path=str(found.build.folder.parent / "provenance.jsonl"))
    if "shadow" in facts:
        screen.print(shadow_in_words(facts["shadow"], words), markup=False)
    if "replay" in facts:
        line("replay")
        for sentence in replay_lines(facts["replay"], words):
            screen.print(f"  {sentence}", markup=False)
    if facts.get("nameless"):
        line("nameless", n=facts["nameless"])
    screen.print(describe(found, words), markup=False)
    version = found.change.version[:12] if found.change else ""
    line(found.verdict, version=version)
    if found.verdict == "kept":
        line("after_kept")
