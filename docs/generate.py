"""Generate the reference pages from the code: `python docs/generate.py`; `--check` fails if they are stale."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from rung.building.report import KEYS
from rung.cli import COMMANDS, root
from rung.core import registry
from rung.core.spec.product import Product, iter_keys

REFERENCE = Path(__file__).parent / "reference"

EFFORT = """
## Effort

| effort | search space |
|---|---|
| 0 | word n-grams, one head (SVC, C = 1): seconds |
| 1 | word n-grams, SVC, two regularisation strengths |
| 2 | word n-grams, and character n-grams up to 6 million characters of training text; SVC and ridge, three strengths (default) |
| 3 | character n-grams up to 20 million; also logistic regression; five strengths; twice the rows in the search |
| 4 | five folds; character n-grams up to 60 million; four times the rows in the search |
| 5 | character n-grams up to 200 million; eight times the rows in the search |

Everything that effort sets can also be set explicitly under `ladder: [{model: ..., params: {...}}]`.

## Fits of a rung

A rung is fitted once on all training rows, and before that on the folds that score it. The winner's learning curve adds
three fits on an eighth, a quarter and half of a fold; it is left out where a fit takes minutes.

With 900 training rows or more, a rung whose fits are planned to take 30 seconds or more is raced first, on a fifth of the
training rows (300 to 2,000): three folds of it, and three of the best rung measured so far. If it has less than one chance in ten both
to clear the bar and to lead by a point, it is not fitted on all rows; terminal and report say so with the figures.
`budget: {race: false}` or `--all-rungs` fits every rung on all rows: docs/decisions/020-races.md.

| training rows | folds | fits |
|---|---|---|
| under 1,000 | 5 | 6 |
| under 5,000 | 3 | 4 |
| 5,000 and more, or a `time` column, or a fit planned to take more than two minutes | 1 | 2 |

`budget.workers` and `engine: ray` run the fits of a rung at the same time, in processes of this machine or on a Ray cluster, and give the
same models: docs/howto/scale-out.md.

`rung plan` shows the number for each rung. A fit that raises an error leaves its rung out, with the reason in the report;
`budget.minutes` ends one that is running where its model asks for it.
"""


def product_page() -> str:
    """Return the page of product.yaml."""
    rows = "\n".join(
        f"| `{key}` | {kind} | {default} | {note} |" for key, kind, default, note in iter_keys(Product)
    )
    example = """```yaml
name: tickets
task: text_classification
data: {path: tickets.csv, input: text, target: queue}
bar: {metric: accuracy, at_least: 0.90, confidence: 0.95}
limits: {latency_ms: 20, size_mb: 50, usd_per_1k: 0.01}
budget: {effort: 2, minutes: 30}
```"""
    params = "\n\n".join(_params(name) for name in registry.model_names())
    return (
        "# product.yaml\n\nThe specification of a product in one file. Unknown keys, wrong types and impossible combinations are "
        f"reported together, each with its line. Paths are relative to the file's folder.\n\n{example}\n\n"
        f"| key | type | default | meaning |\n|---|---|---|---|\n{rows}\n{EFFORT}\n## Parameters of each model family\n\n{params}\n"
    )


def _params(name: str) -> str:
    import dataclasses

    family = registry.model(name)
    fields, shown = dataclasses.fields(family.Params), family.Params()
    listed = "\n".join(f"- `{f.name}`: {getattr(shown, f.name)!r}" for f in fields) or "- no parameters"
    return f"### {name}\n\n{(family.__doc__ or '').strip().splitlines()[0]}\n\n{listed}"


def report_page() -> str:
    """Return the page of report.json."""
    rows = "\n".join(f"| `{key}` | {kind} | {meaning} |" for key, kind, meaning in KEYS)
    return (
        "# report.json\n\nPart of every finished run folder, next to `report.html`. Keys may be added, but not renamed or removed.\n\n"
        f"| key | type | meaning |\n|---|---|---|\n{rows}\n"
    )


def cli_page() -> str:
    """Return the page of the command line."""
    parts = [
        "# Command line\n\nExit codes: 0 ok, 2 user error (the message says how to fix it), 3 no rung clears the bar, the\nchallenger is rejected, or drift is found.\n"
    ]
    for name in COMMANDS:
        command = root.get_command(click.Context(root), name)
        if command is None:
            raise SystemExit(f"no command {name}")
        below = command.commands.items() if isinstance(command, click.Group) else ()
        for words, one in [(name, command), *((f"{name} {inner}", found) for inner, found in below)]:
            context = click.Context(one, info_name=f"rung {words}", terminal_width=84, max_content_width=84)
            parts.append(f"## rung {words}\n\n```text\n{one.get_help(context)}\n```\n")
    return "\n".join(parts)


PAGES = {"product.md": product_page, "report.md": report_page, "cli.md": cli_page}


def main() -> None:
    stale = []
    for name, make in PAGES.items():
        text = f"<!-- Written by docs/generate.py: change the code, not this page. -->\n{make()}"
        path = REFERENCE / name
        if "--check" in sys.argv:
            if not path.is_file() or path.read_text(encoding="utf-8") != text:
                stale.append(name)
        else:
            path.write_text(text, encoding="utf-8")
    if stale:
        raise SystemExit(f"stale: {', '.join(stale)}. Run `make docs`.")


if __name__ == "__main__":
    main()
