"""`rung verify`: check that a bundle is unchanged and predicts as it did when it was packed."""

from __future__ import annotations

from pathlib import Path

import click

from rung.cli.options import as_json, print_json
from rung.cli.terminal import echo


@click.command(epilog="\b\nExamples:\n  rung verify runs/news-001/bundle\n  rung verify bundle --json")
@click.argument("bundle", type=click.Path(path_type=Path))
@as_json
def command(bundle: Path, as_json: bool) -> None:
    """Verify BUNDLE: hash of every file, format, schema, and up to ten packed examples."""
    from rung.core.errors import BundleError
    from rung.serving.predictor import open_bundle

    model = open_bundle(bundle)
    manifest = model.manifest
    differences = model.selftest()
    if differences:
        shown = "\n".join(differences[:3])
        raise BundleError(
            f"{len(differences)} packed examples give another answer here:\n{shown}",
            str(bundle),
            f"It was packed by rung {manifest.rung_version} with {manifest.environment}: compare the versions.",
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
    echo(f"ok: {manifest.name} {manifest.version}, {len(manifest.files)} files, self-test passed\n{proof}")
