"""`rung verify`: is this bundle what was packed, and does it answer as it did?"""

from __future__ import annotations

from pathlib import Path

import click

from rung.cli.options import as_json, print_json


@click.command(epilog="\b\nExample:\n  rung verify runs/news-001/bundle")
@click.argument("bundle", type=click.Path(path_type=Path))
@as_json
def command(bundle: Path, as_json: bool) -> None:
    """Check BUNDLE: every file against its hash, format, schema, and ten packed examples."""
    from rung.core.errors import BundleError
    from rung.serving.predictor import open_bundle

    model = open_bundle(bundle)
    manifest = model.manifest
    differences = model.selftest()
    if differences:
        shown = "\n".join(differences[:3])
        raise BundleError(
            f"{len(differences)} packed examples are answered differently here:\n{shown}",
            str(bundle),
            f"It was packed by rung {manifest.rung_version} with {manifest.environment}; compare versions.",
        )
    facts = {
        "name": manifest.name,
        "version": manifest.version,
        "task": manifest.task,
        "rung": manifest.rung,
        "files": len(manifest.files),
        "certified": manifest.certified,
        "certificate": manifest.certificate,
    }
    if as_json:
        print_json({"ok": True, **facts})
        return
    proof = f"certified: {manifest.certificate['claim']}" if manifest.certificate else "not certified"
    click.echo(
        f"ok: {manifest.name} {manifest.version}, {len(manifest.files)} files, self-test passed\n{proof}"
    )
