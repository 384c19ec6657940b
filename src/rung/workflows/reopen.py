"""Open a finished run again: its product, its rows, its winner, with nothing of the run touched."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rung.building.certify import Requirement
from rung.building.ladder import fit_context
from rung.core import registry
from rung.core.certificate_lock import CertificateLock
from rung.core.errors import RungError
from rung.core.files import read_json
from rung.core.manifest import read_manifest, verify_files
from rung.core.model import Rung
from rung.core.prices import load_prices
from rung.core.run import MARKER, Listener, Run, finished_run
from rung.core.spec.product import load_product
from rung.data.prepare.parquet import read_examples
from rung.data.prepare.prepare import dataset_from
from rung.data.prepare.rows import forget_table, read_table
from rung.data.prepare.side_tables import side_tables
from rung.engines.choose import open_engine
from rung.improvement.input_copies import EMBEDDINGS
from rung.modalities.text.ngram_cache import use_ngram_cache
from rung.runtime.embeddings.settings import use_embedding_cache
from rung.runtime.weights.store import cache_folder
from rung.workflows.build import planned_ladder, sample_texts
from rung.workflows.build_setup import BuildSetup, TrialRows, fresh_embeddings


@dataclass(frozen=True)
class Reopened:
    """A finished run. setup.run: where the new work goes. trial: of the winner; bundle: what ships of the run."""

    folder: Path
    setup: BuildSetup
    rows: TrialRows
    rung: Rung
    trial: Mapping[str, Any]
    report: Mapping[str, Any]

    @property
    def bundle(self) -> Path:
        """Return the bundle that ships."""
        return self.folder / "bundle"


@contextmanager
def reopened(folder: Path, work: str, product: Path | None, listener: Listener | None) -> Iterator[Reopened]:
    """Yield a finished run for more work on its winner, which goes into the folder `work` below it.

    product: path of its product.yaml, where the run was moved away from it. While the block runs, embeddings and n-grams are kept
    as in a build. Raises RunError for what is no finished run, BundleError for a damaged bundle.
    """
    owner, base = finished_run(folder)
    spec, _ = load_product(folder / "product.yaml")
    if product is not None:
        base = load_product(product)[1]
    if not (folder / "data" / MARKER).is_file():
        raise RungError("the rows of the run are gone", str(folder / "data"), "Build the product again.")
    report = read_json(folder / "report.json")
    winner = report.get("winner")
    if not winner:
        raise RungError("nothing ships of this run", str(folder), "Build the product again.")
    manifest = read_manifest(folder / "bundle")
    verify_files(folder / "bundle", manifest)
    task = registry.task(spec.task)
    data = dataset_from(folder / "data", read_json(folder / "data" / MARKER))
    place = Run(_made(folder / work), listener)
    threads = spec.budget.threads or os.cpu_count() or 1
    context = replace(fit_context(spec, threads, base), tables=side_tables(data))
    prices = load_prices(base / spec.prices if spec.prices else None)
    findings = read_json(folder / "checks" / MARKER)["findings"]
    lock = CertificateLock(base / "certificate.lock")
    if report["certificate"] and not lock.path.is_file():
        fix = "Name the product with --product: its certificate.lock knows the looks that were taken."
        raise RungError("there is no certificate.lock", str(base), fix)
    setup = BuildSetup(
        spec, task, place, lock, prices, context, open_engine(spec.engine), data, str(owner["fingerprint"]), findings=findings
    )  # fmt: skip
    with place.building(), use_ngram_cache():
        # Vectors of smaller encoders are of no use to another build.
        fresh = fresh_embeddings(spec, place) or place.folder / EMBEDDINGS
        kept = use_embedding_cache(cache_folder() / "embeddings", threads, fresh)
        try:
            with kept:
                train = read_table(data, "train")
                needs = [Requirement(c, task.metric(c.metric, data.schema)) for c in spec.bar]
                rows = TrialRows(train, read_examples(data, "certification"), needs)
                rungs = planned_ladder(setup, train, sample_texts(setup, train)).rungs
                rung = next((one for one in rungs if one.name == winner), None)
                if rung is None:
                    raise RungError(
                        f"the rung '{winner}' cannot be fitted here", str(folder), "See `rung plan`."
                    )
                trial = read_json(folder / "trials" / winner / MARKER)
                yield Reopened(folder, setup, rows, rung, trial, report)
        finally:
            forget_table()
            shutil.rmtree(fresh, ignore_errors=True)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
