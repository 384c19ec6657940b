"""`rung keys`: who may ask a server what. Servers that run notice at once."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rung.cli.options import as_json, print_json

if TYPE_CHECKING:
    from rung.serving.http.api_keys import ApiKey

_ACTOR = "command line"


def _folder(work: Any) -> Any:
    return click.option(
        "--folder", type=click.Path(path_type=Path, file_okay=False), default=Path("service"), show_default=True,
        help="Service folder: where the server finds keys, journal and audit trail.",
    )(work)  # fmt: skip


@click.group(
    epilog="\b\nExamples:\n  rung keys create shop --role predict --per-minute 600\n  rung keys list\n"
    "  rung keys rotate shop --overlap 24\n  rung keys revoke shop"
)
def command() -> None:
    """Make, list, exchange and revoke API keys. Only their hashes are stored: a key is shown once."""


@command.command()
@click.argument("name")
@click.option(
    "--role", type=click.Choice(["predict", "review", "admin"]), default="predict", show_default=True,
    help="predict: ask, and correct own answers; review: also see inputs and review; admin: everything.",
)  # fmt: skip
@click.option(
    "--per-minute", type=click.IntRange(min=1), help="Most requests a minute; default: the product's."
)
@click.option("--days", type=click.FloatRange(min=0, min_open=True), help="Valid so long; default: for good.")
@_folder
@as_json
def create(
    name: str, role: str, per_minute: int | None, days: float | None, folder: Path, as_json: bool
) -> None:
    """Make a key called NAME and show it, this once."""
    from rung.serving.audit_log import record
    from rung.serving.http.api_keys import KeyStore

    expires = time.time() + days * 86_400 if days else None
    key, shown = KeyStore(folder).create(name, role, per_minute, expires)
    record(folder, _ACTOR, "keys create", key.name, id=key.id, role=role)
    _show_once(key, shown, as_json)


@command.command("list")
@_folder
@as_json
def list_(folder: Path, as_json: bool) -> None:
    """List the keys, without their secrets."""
    from rung.serving.http.api_keys import KeyStore

    keys = KeyStore(folder).all()
    if as_json:
        print_json([{k: v for k, v in vars(key).items() if k != "digest"} for key in keys])
        return
    for key in keys:
        state = "valid" if key.is_valid(time.time()) else "revoked" if key.revoked_at else "expired"
        made = time.strftime("%Y-%m-%d", time.localtime(key.made_at))
        limit = f"{key.per_minute}/min" if key.per_minute else ""
        click.echo(f"{key.id}  {key.name:<20} {key.role:<8} {state:<8} {made}  {limit}".rstrip())


@command.command()
@click.argument("name")
@_folder
def revoke(name: str, folder: Path) -> None:
    """Let the key called NAME open nothing from now on."""
    from rung.serving.audit_log import record
    from rung.serving.http.api_keys import KeyStore

    key = KeyStore(folder).revoke(name)
    record(folder, _ACTOR, "keys revoke", key.name, id=key.id)
    click.echo(f"{key.name} ({key.id}) is revoked.")


@command.command()
@click.argument("name")
@click.option(
    "--overlap", type=click.FloatRange(min=0), default=0.0, help="Hours for which the old one still opens."
)
@_folder
@as_json
def rotate(name: str, overlap: float, folder: Path, as_json: bool) -> None:
    """Make a new key in the place of NAME and show it, this once."""
    from rung.serving.audit_log import record
    from rung.serving.http.api_keys import KeyStore

    key, shown = KeyStore(folder).rotate(name, overlap * 3600)
    record(folder, _ACTOR, "keys rotate", key.name, id=key.id, overlap_hours=overlap)
    _show_once(key, shown, as_json)


@command.command()
def master() -> None:
    """Print a new master key for the journal: put it into RUNG_MASTER_KEY and into a safe."""
    from rung.journal.encryption import new_master_key

    click.echo(new_master_key())


def _show_once(key: ApiKey, shown: str, as_json: bool) -> None:
    if as_json:
        print_json({"id": key.id, "name": key.name, "role": key.role, "key": shown})
    else:
        click.echo(shown)
        click.echo(f"The key of {key.name} ({key.role}). It is stored nowhere: keep it now.", err=True)
