"""Profile the training of one rung of a product: prepare its rows, run a few steps, report where the time goes."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from rung.building.fit import split_validation
from rung.building.ladder import fit_context
from rung.core import registry
from rung.core.certificate_lock import CertificateLock
from rung.core.errors import RungError, did_you_mean
from rung.core.params import make_params
from rung.core.spec.product import Product, RungSpec, load_product, locate_problems
from rung.data.prepare.cast import with_inputs
from rung.data.prepare.parquet import read_examples
from rung.data.prepare.prepare import prepare

if TYPE_CHECKING:
    from rung.training.torch.profiling import TrainingProfile


def profile_training(path: Path, rung: str, steps: int = 10) -> TrainingProfile:
    """Return where the time and memory of the first training steps go.

    rung: the name of a rung of the product's ladder, or of a family, with its defaults. Only training rows are read, and
    nothing is written beside the product. Raises RungError for a family that does not train in steps.
    """
    product, base = load_product(path)
    task = registry.task(product.task)
    product = with_inputs(product, base, task)
    spec = _spec(product, rung)
    family = registry.model(spec.model)
    family.require()
    from rung.training.torch.profiling import profile_fit

    with tempfile.TemporaryDirectory(prefix="rung-") as scratch, locate_problems(path):
        lock = Path(scratch) / "certificate.lock"
        if (base / lock.name).is_file():
            shutil.copyfile(base / lock.name, lock)
        folder = Path(scratch) / "data"
        folder.mkdir()
        data = prepare(product, base, task, CertificateLock(lock), folder)
        rows = read_examples(data, "train")
    context = fit_context(product, product.budget.threads or os.cpu_count() or 1, base)
    learn, context = split_validation(rows, context, family.VALIDATION_SHARE)
    params = make_params(family.Params, spec.params)
    return profile_fit(lambda given: family.fit(learn, params, given), context, steps)


def _spec(product: Product, rung: str) -> RungSpec:
    """Return the rung of the ladder with this name, or the family of this name with its defaults."""
    ladder = product.ladder or ()
    for spec in ladder:
        if rung in (spec.name, spec.model):
            return spec
    known = registry.models_for(product.task)
    if rung not in known:
        raise RungError(f"there is no rung called '{rung}'", "", did_you_mean(rung, known))
    return RungSpec(model=rung)
