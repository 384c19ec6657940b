"""`rung keys`: API keys of a server. Running servers see changes immediately."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rung.cli.options import as_json, lang, print_json
from rung.cli.terminal import echo

if TYPE_CHECKING:
    from rung.serving.http.api_keys import ApiKey

_ACTOR = "command line"


def _folder_option(function: Any) -> Any:
    return click.option(
        "--folder", type=click.Path(path_type=Path, file_okay=False), default=Path("service"), show_default=True,
        help="Service folder with keys, journal and audit log.",
    )(function)  # fmt: skip


@click.group(
    epilog="\b\nExamples:\n  rung keys create shop --role predict --per-minute 600\n  rung keys list\n"
    "  rung keys rotate shop --overlap 24\n  rung keys revoke shop"
)
def command() -> None:
    """Create, list, rotate and revoke API keys. Only hashes are stored, so a key is shown once."""


@command.command(
    epilog="\b\nExamples:\n  rung keys create shop\n  rung keys create ann --role review --days 90 --json"
)
@click.argument("name")
@click.option(
    "--role", type=click.Choice(["predict", "review", "admin"]), default="predict", show_default=True,
    help="predict: predict and send feedback on own predictions; review: also see inputs and review; admin: everything.",
)  # fmt: skip
@click.option(
    "--per-minute",
    type=click.IntRange(min=1),
    help="Requests per minute. Default: serve.per_minute of the product.",
)
@click.option(
    "--days", type=click.FloatRange(min=0, min_open=True), help="Days until the key expires. Default: never."
)
@_folder_option
@as_json
def create(
    name: str, role: str, per_minute: int | None, days: float | None, folder: Path, as_json: bool
) -> None:
    """Create a key called NAME and show it once."""
    from rung.serving.audit_log import record
    from rung.serving.http.api_keys import KeyStore

    expires = time.time() + days * 86_400 if days else None
    key, token = KeyStore(folder).create(name, role, per_minute, expires)
    record(folder, _ACTOR, "keys create", key.name, id=key.id, role=role)
    _print_token(key, token, as_json)


@command.command(
    "list", epilog="\b\nExamples:\n  rung keys list\n  rung keys list --folder /srv/news/service --json"
)
@_folder_option
@as_json
def list_(folder: Path, as_json: bool) -> None:
    """List the keys without their secrets."""
    from rung.serving.http.api_keys import KeyStore

    keys = KeyStore(folder).all()
    if as_json:
        print_json([{k: v for k, v in vars(key).items() if k != "digest"} for key in keys])
        return
    for key in keys:
        state = "valid" if key.is_valid(time.time()) else "revoked" if key.revoked_at else "expired"
        made = time.strftime("%Y-%m-%d", time.localtime(key.made_at))
        limit = f"{key.per_minute}/min" if key.per_minute else ""
        echo(f"{key.id}  {key.name:<20} {key.role:<8} {state:<8} {made}  {limit}".rstrip())


@command.command(epilog="\b\nExamples:\n  rung keys revoke shop\n  rung keys revoke shop --json")
@click.argument("name")
@_folder_option
@as_json
def revoke(name: str, folder: Path, as_json: bool) -> None:
    """Revoke the key called NAME immediately."""
    from rung.serving.audit_log import record
    from rung.serving.http.api_keys import KeyStore

    key = KeyStore(folder).revoke(name)
    record(folder, _ACTOR, "keys revoke", key.name, id=key.id)
    if as_json:
        print_json({"id": key.id, "name": key.name, "revoked_at": key.revoked_at})
    else:
        from rung.core.messages import say

        echo(say("term.key_revoked", lang(), name=key.name, id=key.id))


@command.command(epilog="\b\nExamples:\n  rung keys rotate shop\n  rung keys rotate shop --overlap 24")
@click.argument("name")
@click.option("--overlap", type=click.FloatRange(min=0), default=0.0, help="Hours the old key stays valid.")
@_folder_option
@as_json
def rotate(name: str, overlap: float, folder: Path, as_json: bool) -> None:
    """Replace the key called NAME by a new one and show it once."""
    from rung.serving.audit_log import record
    from rung.serving.http.api_keys import KeyStore

    key, token = KeyStore(folder).rotate(name, overlap * 3600)
    record(folder, _ACTOR, "keys rotate", key.name, id=key.id, overlap_hours=overlap)
    _print_token(key, token, as_json)


@command.command(epilog="\b\nExample:\n  export RUNG_MASTER_KEY=$(rung keys master)")
@as_json
def master(as_json: bool) -> None:
    """Print a new master key that encrypts the journal: set it as RUNG_MASTER_KEY and keep a copy in a safe place."""
    from rung.journal.encryption import new_master_key

    key = new_master_key()
    if as_json:
        print_json({"master_key": key})
    else:
        echo(key)


def _print_token(key: ApiKey, token: str, as_json: bool) -> None:
    if as_json:
        print_json({"id": key.id, "name": key.name, "role": key.role, "key": token})
    else:
        echo(token)
        from rung.core.messages import say

        echo(say("term.api_key", lang(), name=key.name, role=key.role), err=True)
