"""The command line: parse, call, print. A command's module is loaded when it is called, not before."""

from __future__ import annotations

import json
import sys
import warnings
from importlib import import_module
from typing import TextIO

import click

from rung.cli.options import colour_is_off, shared
from rung.core.errors import RungError, SpecError, did_you_mean
from rung.core.spec.renamed import RenamedKeyWarning

# Written out so that `rung --help` loads no command; a test holds it against the modules.
COMMANDS = {
    "plan": "Look at data: which task, which columns, which ladder at what price. Writes product.yaml.",
    "data": "Check the data: what is wrong with it, row by row, and what to do; take corrections.",
    "label": "Label rows that have no label yet, on a page or by CSV: the most useful first, some at random.",
    "build": "Climb the ladder of a product.yaml; ship the cheapest model that clears the bar.",
    "show": "Show the leaderboard of a run again.",
    "predict": "Answer a text, or every row of a file.",
    "serve": "Answer over HTTP, with an API page and a page to try the model.",
    "drift": "Tell whether what is served still looks like what the model was built on.",
    "value": "What the answers cost and brought, and what a large language model would have cost.",
    "keys": "Make, list, exchange and revoke the API keys of a server.",
    "review": "Say what served answers should have been, on a page or by CSV; a random share certifies the next model.",
    "improve": "Learn from reviewed answers, and replace what serves if the new model is provably no worse.",
    "promote": "Let a certified bundle serve a product; running servers follow.",
    "rollback": "Let what served before serve again.",
    "history": "Show who changed what serves, when and why.",
    "weights": "List, fetch and remove the weights that encoders need; nothing else downloads.",
    "verify": "Check a bundle: hashes, versions, schema, and ten packed examples.",
}

_show_other_warning = warnings.showwarning


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command = import_module(f"rung.cli.{name}").command
        if not isinstance(command, click.Command):
            raise TypeError(f"rung.cli.{name}.command is not a command")
        known = {parameter.name for parameter in command.params}
        command.params += [option for option in shared() if option.name not in known]
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
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="""\b
Begin:
  rung plan tickets.csv          writes product.yaml
  rung build product.yaml        climbs the ladder
  rung serve runs/tickets-001/bundle

\b
Exit codes: 0 ok, 2 your mistake (with what to do), 3 no rung clears the bar, or no challenger its gate.
Tab completion: eval "$(_RUNG_COMPLETE=bash_source rung)"   (zsh_source, fish_source)""",
)
@click.version_option(package_name="rung", message="rung %(version)s")
def root() -> None:
    """Ship the cheapest model that clears your bar."""


root.params += shared()


def main() -> None:
    """Run the command line; a mistake of the user's prints problem and fix and exits 2."""
    warnings.showwarning = _show_warning
    try:
        code = root.main(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.Abort:
        click.echo("\nInterrupted. The same command goes on where this one stopped.", err=True)
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


def _show_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int,
    file: TextIO | None = None, line: str | None = None,
) -> None:  # fmt: skip
    """Print a notice about a spec as one sentence, any other warning as Python does."""
    if issubclass(category, RenamedKeyWarning):
        click.echo(f"Notice: {message}", err=True)
    else:
        _show_other_warning(message, category, filename, lineno, file, line)


def _print_error(error: RungError) -> None:
    if "--json" in sys.argv:
        body: dict[str, object] = dict(error.as_dict())
        if isinstance(error, SpecError):
            body["problems"] = [vars(problem) for problem in error.problems]
        click.echo(json.dumps({"error": body}, ensure_ascii=False))
    else:
        plain = colour_is_off() or "--no-color" in sys.argv
        head = "Error" if plain else click.style("Error", fg="red", bold=True)
        click.echo(f"{head}: {error}", err=True)
