"""`rung serve`: products and bundles over HTTP."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(
    epilog="\b\nExamples:\n  rung serve product.yaml\n  rung serve runs/news-001/bundle\n"
    "  rung serve news/bundle spam/bundle --port 9000\n"
    "  rung serve product.yaml --host 0.0.0.0 --tls-cert cert.pem --tls-key key.pem\n\n\b\n"
    "Ask it:\n  curl localhost:8000/v1/models/news/predict -H 'Content-Type: application/json' \\\n"
    '    -d \'{"inputs": [{"text": "The striker scored twice"}]}\''
)
@click.argument("bundles", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on; others than this machine's need keys.",
)
@click.option(
    "--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="Port to listen on."
)
@click.option("--uncertified", is_flag=True, help="Serve a bundle about which nothing has been proven.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keys, journal and audit trail; default: the product's serve.folder, none for bundles.",
)
@click.option("--no-journal", is_flag=True, help="Remember no prediction and take no feedback.")
@click.option("--tls-cert", type=click.Path(dir_okay=False), help="Certificate, PEM.")
@click.option("--tls-key", type=click.Path(dir_okay=False), help="Its key, PEM.")
def command(
    bundles: tuple[Path, ...], host: str, port: int, uncertified: bool,
    folder: Path | None, no_journal: bool, tls_cert: str | None, tls_key: str | None,
) -> None:  # fmt: skip
    """Serve BUNDLES, or products by their champion: POST /v1/models/{name}/predict, GET /docs, and / to try it."""
    from rung.serving.http.server import serve

    if (tls_cert is None) != (tls_key is None):
        raise click.UsageError("Give both --tls-cert and --tls-key.")
    tls = (tls_cert, tls_key) if tls_cert and tls_key else None
    serve(bundles, host, port, uncertified, folder, not no_journal, tls)
