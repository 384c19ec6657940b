"""Products of the files in tests/cases."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import rung
from preparing import Prepared
from rung.core import registry
from rung.core.certificate_lock import CertificateLock
from rung.core.spec.product import Located, Product
from rung.data.prepare.cast import with_inputs
from rung.data.prepare.prepare import prepare

HERE = Path(__file__).parent / "cases"


def product_of(base: Path, *files: str, task: str, model: str = "linear_table", **more: Any) -> Product:
    """Copy files into a folder and return a product of them. more: keys of `data`, or of the spec."""
    for name in files:
        if (HERE / name).is_file():
            shutil.copyfile(HERE / name, base / name)
    keys = {"costs", "labelling", "improve", "name", "bar", "accept"}
    spec = {
        "name": "case", "task": task, "bar": {"metric": "r2" if "regression" in task else "accuracy", "at_least": 0.3},
        "budget": {"effort": 0, "threads": 1}, "ladder": [{"model": model}],
        **{key: value for key, value in more.items() if key in keys},
        "data": {"path": list(files), **{key: value for key, value in more.items() if key not in keys}},
    }  # fmt: skip
    return Product.model_validate(spec)


def prepared(base: Path, *files: str, task: str = "tabular_classification", **more: Any) -> Prepared:
    """Return the prepared data of a product of these files."""
    product = product_of(base, *files, task=task, **more)
    known = registry.task(task)
    folder = base / "prepared"
    folder.mkdir(exist_ok=True)
    product = with_inputs(product, base, known)
    return Prepared(prepare(product, base, known, CertificateLock(base / "certificate.lock"), folder), folder)


def built(base: Path, *files: str, task: str = "tabular_classification", **more: Any) -> Any:
    """Return the finished build of a product of these files."""
    return rung.build(Located(product_of(base, *files, task=task, **more), base), run=base / "run")
