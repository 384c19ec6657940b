"""`rung serve`: bundles over HTTP."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(
    epilog="\b\nExamples:\n  rung serve runs/news-001/bundle\n  rung serve news/bundle spam/bundle --port 9000\n\n\b\n"
    "Ask it:\n  curl localhost:8000/v1/models/news/predict -H 'Content-Type: application/json' \\\n"
    '    -d \'{"inputs": [{"text": "The striker scored twice"}]}\''
)
@click.argument("bundles", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="Port to listen on."
)
@click.option("--uncertified", is_flag=True, help="Serve a bundle about which nothing has been proven.")
def command(bundles: tuple[Path, ...], host: str, port: int, uncertified: bool) -> None:
    """Serve BUNDLES: POST /v1/models/{name}/predict, GET /healthz, /docs (OpenAPI), and / to try it."""
    from rung.serve.app import serve

    serve(bundles, host, port, uncertified)
