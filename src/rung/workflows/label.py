"""Open a labelling session for a product whose rows have no labels."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rung.annotation.active_learner import ActiveLearner
from rung.annotation.featurizer import Featurizer, open_featurizer
from rung.annotation.image_features import image_vectors
from rung.annotation.session import LabellingSession
from rung.core import registry
from rung.core.certificate_lock import CertificateLock
from rung.core.errors import Problem, SpecError
from rung.core.kind import kind
from rung.core.spec.product import Product, load_product
from rung.data.labels.pool import read_pool
from rung.data.labels.store import LabelStore
from rung.data.prepare.cast import with_inputs

_EXAMPLE = """Add, with your own labels:
labelling:
  labels:
    billing: money, invoices, refunds
    delivery: where a parcel is
"""


@contextmanager
def open_labelling_session(
    product: Product | str | Path, *, background: bool = True
) -> Iterator[LabellingSession]:
    """Yield the labelling session of a product, closed at the end.

    background: fit models in a thread, for the page.

    product: a Product, or the path of a product.yaml. Raises SpecError when it names no labels, DataError
    when its rows cannot be read or are too few, RungError when the weights it names are not here.
    """
    base, where = Path.cwd(), "product.yaml"
    if not isinstance(product, Product):
        where = Path(product).name
        product, base = load_product(Path(product))
    spec = product.labelling
    if spec is None:
        raise SpecError([Problem(0, "labelling", "is missing: name the labels", _EXAMPLE)], where)
    task = registry.task(product.task)
    product = with_inputs(product, base, task)
    answers_boxes = task.schema(product.data.input, []).outputs[0].kind == "boxes"
    if len(spec.labels) < 2 and not answers_boxes:
        problem = Problem(0, "labelling.labels", "has one label: rows need at least two to differ", _EXAMPLE)
        raise SpecError([problem], where)
    pool = read_pool(product, base, task, CertificateLock(base / "certificate.lock"))
    threads = product.budget.threads or os.cpu_count() or 1
    fields = task.schema(product.data.input, []).inputs
    if any(field.kind == "image" for field in fields) and not any(
        kind(field.kind).is_prose for field in fields
    ):
        name, vectors = image_vectors(pool, spec.weights, threads)
        featurizer = Featurizer(name, None)
    else:
        texts = [row.joined() for row in pool.rows]
        featurizer = open_featurizer(spec.weights, texts)
        vectors = featurizer.transform(texts, threads)
    learner = ActiveLearner(pool, vectors, featurizer, background)
    try:
        with LabelStore(base / spec.store) as store:
            yield LabellingSession(pool, store, spec, learner, product.name)
    finally:
        learner.close()
