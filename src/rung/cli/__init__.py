"""The command line. The module of a command is imported only when the command is called."""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from itertools import pairwise
from typing import TextIO

import click

from rung.cli.error_text import error_text
from rung.cli.options import color_is_off, shared_options
from rung.cli.terminal import echo, print_json, tolerate_encodings, visible
from rung.core.errors import RungError, SpecError, did_you_mean
from rung.core.files import disk_full_error
from rung.core.messages import resolve_language, say
from rung.core.spec.renamed import RenamedKeyWarning

# Kept here so that `rung --help` imports no command; a test compares it with the modules.
COMMANDS = {
    "plan": "Profile data and propose task, columns, ladder, prices and a bar. Writes product.yaml.",
    "data": "Check the data, apply label corrections, restore excluded rows.",
    "label": "Label rows on a page or by CSV: active learning plus a random sample for the certificate.",
    "build": "Climb the ladder and pack the cheapest model that clears the bar.",
    "show": "Show the leaderboard of a run, or follow a running build.",
    "predict": "Predict one text, or every row of a file.",
    "serve": "Serve models over HTTP, with API docs and a page to try them.",
    "drift": "Test whether served data has drifted from the data of the build.",
    "value": "Report cost and value of the served predictions, compared with a large language model.",
    "keys": "Create, list, rotate and revoke the API keys of a server.",
    "review": "Review served predictions on a page or by CSV; a random sample certifies the next model.",
    "improve": "Train a challenger on reviewed predictions and promote it if it is provably non-inferior.",
    "replay": "Estimate what another model's lists would have earned, from lists drawn at random and their clicks.",
    "promote": "Make a certified bundle the champion of a product; running servers load it.",
    "rollback": "Make the previous champion the champion again.",
    "history": "Show who changed the champion, when and why.",
    "compare": "Let people choose between the texts of two bundles; the win rate has an exact bound.",
    "distill": "Train the cheap rungs on labels of a language model or a larger rung; certify on people's labels.",
    "llm": "Serve a small language model on this machine; probe what a server of one really does.",
    "compress": "Make the winner of a run smaller or faster: candidates, the best one certified anew.",
    "export": "Write a bundle for a place without rung, and compare its answers with the server's.",
    "weights": "List, fetch and remove the pretrained weights of encoders.",
    "profile": "Show where the time and memory of training a rung go.",
    "inspect": "Show the layers of a bundle: shapes, weights, share of time and memory.",
    "verify": "Verify a bundle: file hashes, versions, schema and packed examples.",
}

_show_other_warning = warnings.showwarning


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command = import_module(f"rung.cli.{name}").command
        if not isinstance(command, click.Command):
            raise TypeError(f"rung.cli.{name}.command is not a command")
        for one in (command, *getattr(command, "commands", {}).values()):
            known = {parameter.name for parameter in one.params}
            one.params += [option for option in shared_options() if option.name not in known]
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(f"There is no command '{args[0]}'. {did_you_mean(args[0], COMMANDS)}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="""\b
Examples:
  rung plan tickets.csv                  write product.yaml
  rung build product.yaml                build and certify a model
  rung serve runs/tickets-001/bundle     serve it over HTTP

\b
Exit codes: 0 success, 2 user error (the message says how to fix it), 3 no rung clears the bar, or the
challenger is rejected, or drift is found.
Tab completion: eval "$(_RUNG_COMPLETE=bash_source rung)"   (zsh_source, fish_source)""",
)
@click.version_option(package_name="rung", message="rung %(version)s")
def root() -> None:
    """Ship the cheapest model that clears your bar."""


root.params += shared_options()


def main() -> None:
    """Run the command line. A RungError prints its problem and fix and exits 2."""
    warnings.showwarning = _show_warning
    tolerate_encodings()
    try:
        code = root.main(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.Abort:
        click.echo("\n" + say("error.interrupted", _language()), err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except RungError as error:
        _print_error(error)
        sys.exit(2)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except Exception as error:
        full = disk_full_error(error)
        if full is None:
            raise
        _print_error(full)
        sys.exit(2)


def _show_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int,
    file: TextIO | None = None, line: str | None = None,
) -> None:  # fmt: skip
    """Print a notice about a spec as one sentence, any other warning as Python does."""
    if issubclass(category, RenamedKeyWarning):
        echo(f"Notice: {message}", err=True)
    else:
        _show_other_warning(message, category, filename, lineno, file, line)


def _print_error(error: RungError) -> None:
    if "--json" in sys.argv:
        body: dict[str, object] = dict(error.as_dict())
        if isinstance(error, SpecError):
            body["problems"] = [vars(problem) for problem in error.problems]
        print_json({"error": body}, None)
    else:
        plain = color_is_off() or "--no-color" in sys.argv
        words = _language()
        head = say("error.head", words)
        shown = head if plain else click.style(head, fg="red", bold=True)
        colon = say("error.colon", words)
        click.echo(f"{shown}{colon}{visible(error_text(error, words))}", err=True)


def _language() -> str:
    """Return the output language after a command has ended; English where the one that was asked for is unknown."""
    asked = None
    for option, value in pairwise([*sys.argv[1:], ""]):
        asked = (
            value
            if option == "--lang"
            else option.removeprefix("--lang=")
            if option.startswith("--lang=")
            else asked
        )
    try:
        return resolve_language(asked)
    except RungError:
        return "en"
