"""Resolves the arguments of `rung serve`: bundles, runs, or products, whose champion is served."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rung.core.errors import BundleError, RungError
from rung.core.files import read_json, write_json
from rung.core.spec.serve import ServeSpec
from rung.serving.model_registry import BundleLocator

CHAMPIONS = "champions.json"


@dataclass(frozen=True)
class BundleSource:
    """find: returns the current bundle folder. spec, base, name: serve section, folder and name of a product, else None."""

    find: BundleLocator
    spec: ServeSpec | None = None
    base: Path | None = None
    name: str | None = None


def is_product(path: Path) -> bool:
    """Return whether a path is a product's spec or its folder, and neither a bundle nor a run."""
    if (path / "manifest.json").is_file() or (path / "bundle" / "manifest.json").is_file():
        return False
    return path.suffix in {".yaml", ".yml"} or (path / "product.yaml").is_file()


def find_bundle_source(path: Path, folder: Path | None = None) -> BundleSource:
    """Return the bundle source of a path. folder: service folder, where it is not the product's own.

    Raises RungError for a product that has no certified run yet.
    """
    if (path / "manifest.json").is_file():
        return BundleSource(lambda: path)
    if (path / "bundle" / "manifest.json").is_file():
        return BundleSource(lambda: path / "bundle")
    if not is_product(path):
        return BundleSource(lambda: path)  # Opening it raises the precise error.
    # Slow to import, and not needed by a server that is given bundles.
    from rung.core.spec.product import load_product

    product, base = load_product(path)
    service = folder or base / product.serve.folder
    first: list[Path] = []

    def find() -> Path:
        chosen = read_champion(service, product.name)
        if chosen is not None:
            return (base / chosen).resolve() if not chosen.is_absolute() else chosen
        if not first:
            # Searched once: a later build is served only after it is promoted.
            first.append(newest_cleared_bundle(base / "runs", product.name))
        return first[0]

    find()
    return BundleSource(find, product.serve, base, product.name)


def read_champion(folder: Path, name: str) -> Path | None:
    """Return the champion of a product as recorded in a service folder; None when none is recorded."""
    path = folder / CHAMPIONS
    if not path.is_file():
        return None
    try:
        champions: Any = read_json(path)
        return Path(champions[name]) if name in champions else None
    except (ValueError, TypeError) as error:
        raise RungError(
            f"it cannot be read: {type(error).__name__}", str(path), "Write {name: bundle folder} as JSON."
        ) from None


def record_first_champion(source: BundleSource, folder: Path) -> Path | None:
    """Record what a product serves as its champion, where none is recorded; return the bundle then, else None.

    A later build would otherwise serve after the next restart. folder: the service folder.
    """
    if source.name is None or source.base is None or read_champion(folder, source.name) is not None:
        return None
    bundle = source.find()
    # Relative, so that the product's folder may be moved with its service folder.
    _write_champion(folder, source.name, bundle.relative_to(source.base).as_posix())
    return bundle


def set_champion(folder: Path, name: str, bundle: Path) -> None:
    """Record a bundle as the champion of a product; running servers load it within a second."""
    _write_champion(folder, name, str(bundle.resolve()))


def _write_champion(folder: Path, name: str, bundle: str) -> None:
    path = folder / CHAMPIONS
    champions = read_json(path) if path.is_file() else {}
    write_json(path, {**champions, name: bundle})


def shared_settings(sources: Sequence[BundleSource]) -> tuple[ServeSpec, Path | None]:
    """Return the limits and the service folder of products served by one server.

    Raises RungError when two products differ in their `serve` section.
    """
    products = [source for source in sources if source.spec is not None and source.base is not None]
    if not products:
        return ServeSpec(), None
    first = products[0]
    if any(other.spec != first.spec for other in products):
        fix = "Write the same in both, or run one server for each."
        raise RungError("two products differ in their serve section", "serve", fix)
    assert first.spec is not None and first.base is not None  # noqa: S101 - filtered above
    return first.spec, first.base / first.spec.folder


def newest_cleared_bundle(runs: Path, name: str) -> Path:
    """Return the bundle of the newest run that cleared its bar."""
    found = {}
    for folder in runs.glob(f"{name}-*"):
        number = re.fullmatch(rf"{re.escape(name)}-(\d{{3,}})", folder.name)
        report = folder / "report.json"
        if number and (folder / "bundle" / "manifest.json").is_file() and report.is_file():
            found[int(number[1])] = (folder / "bundle", bool(read_json(report).get("cleared")))
    cleared = [found[number][0] for number in sorted(found) if found[number][1]]
    if cleared:
        return cleared[-1]
    if found:
        newest = found[max(found)][0]
        fix = f"The report beside it says what to do next. To serve it anyway: rung serve {newest} --uncertified"
        raise BundleError(f"no run of '{name}' cleared its bar", str(runs), fix)
    raise BundleError(f"there is no finished run of '{name}'", str(runs), "Build it first: rung build.")
