"""`rung serve`: serve products and bundles over HTTP."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from rung.cli.options import heed_interrupts


@click.command(
    epilog="\b\nExamples:\n  rung serve product.yaml\n  rung serve runs/news-001/bundle\n"
    "  rung serve news/bundle spam/bundle --port 9000\n"
    "  rung serve product.yaml --host 0.0.0.0 --tls-cert cert.pem --tls-key key.pem\n\n\b\n"
    "Send a request:\n  curl localhost:8000/v1/models/news/predict -H 'Content-Type: application/json' \\\n"
    '    -d \'{"inputs": [{"text": "The striker scored twice"}]}\''
)
@click.argument("bundles", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on. Any address beyond this machine needs API keys.",
)
@click.option(
    "--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="Port to listen on."
)
@click.option("--uncertified", is_flag=True, help="Serve bundles that are not certified.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of keys, journal and audit log. Default: serve.folder of the product; none for bundles.",
)
@click.option("--no-journal", is_flag=True, help="Keep no journal of predictions; feedback is then refused.")
@click.option(
    "--make-key/--no-make-key",
    default=None,
    help="Make a master key in ~/.config/rung if there is none, so that inputs are kept, encrypted, and `rung review` and "
    "`rung improve` can read them. Default: ask on a terminal.",
)
@click.option("--tls-cert", type=click.Path(dir_okay=False), help="TLS certificate, PEM.")
@click.option("--tls-key", type=click.Path(dir_okay=False), help="Private key of the certificate, PEM.")
@click.option(
    "--json", "as_json", is_flag=True,
    help="Print an error at startup as JSON. The log on standard error is JSON lines in any case.",
)  # fmt: skip
def command(
    bundles: tuple[Path, ...], host: str, port: int, uncertified: bool,
    folder: Path | None, no_journal: bool, make_key: bool | None,
    as_json: bool, **files: str | None,
) -> None:  # fmt: skip
    """Serve BUNDLES: bundles, runs, or products, whose champion is served.

    Endpoints: POST /v1/models/{name}/predict, GET /docs for the API, and / to try a model in the browser.
    """
    heed_interrupts()
    from rung.serving.bundle_source import find_bundle_source
    from rung.serving.http.server import serve

    tls_cert, tls_key = files["tls_cert"], files["tls_key"]
    if (tls_cert is None) != (tls_key is None):
        raise click.UsageError("Give both --tls-cert and --tls-key.")
    tls = (tls_cert, tls_key) if tls_cert and tls_key else None
    for path in bundles:
        # What cannot be served is said before anything is asked or promised.
        find_bundle_source(path, folder)
    if not no_journal:
        _offer_key(bundles, make_key)
    if sys.stderr.isatty():
        _say_where(host, port, bool(tls))
    serve(bundles, host, port, uncertified, folder, not no_journal, tls)


def _say_where(host: str, port: int, is_tls: bool) -> None:
    """Say where the pages will be, for who starts a server by hand: the log is JSON."""
    from rung.cli.options import lang
    from rung.core.messages import say

    shown = "localhost" if host in {"0.0.0.0", "::"} else f"[{host}]" if ":" in host else host  # noqa: S104
    address = f"{'https' if is_tls else 'http'}://{shown}:{port}"
    if port:
        click.echo(say("term.serving", lang(), address=address), err=True)


def _offer_key(bundles: Sequence[Path], wanted: bool | None) -> None:
    """Make a master key where inputs would be kept as hashes only and the user wants them kept."""
    from rung.cli.options import lang
    from rung.core.messages import say
    from rung.core.spec.product import load_product
    from rung.journal.encryption import key_file, master_key, write_key_file
    from rung.serving.bundle_source import is_product

    asks = sys.stdin.isatty() and sys.stderr.isatty()
    if wanted is False or not (wanted or asks) or master_key() is not None:
        return
    products = [path for path in bundles if is_product(path)]
    if all(load_product(path)[0].serve.inputs is not None for path in products):
        return
    if wanted is None:
        wanted = click.confirm(say("term.ask_key", lang(), file=str(key_file())), default=True, err=True)
    key = "key_made" if wanted else "key_missing"
    path = str(write_key_file()) if wanted else ""
    click.echo(say(f"term.{key}", lang(), file=path), err=True)
