"""What a product's data must leave for a build: rows that can be used, that train and that certify."""

from __future__ import annotations

from collections import Counter

from rung.core.errors import DataError
from rung.core.spec.product import Product
from rung.core.spec.source_names import short_name
from rung.data.prepare.ingest import RowIngestor
from rung.data.prepare.keys import CERTIFICATION, TRAIN, Keys
from rung.data.prepare.missing_labels import require_settled_labels
from rung.data.prepare.split import SplitSides

NO_LABELS = "No labels yet? `rung label product.yaml` asks for them."


def require_rows(
    keys: Keys, intake: RowIngestor, reasons: Counter[str], product: Product, has_own_labels: bool
) -> None:
    """Raise DataError when no row of a source can be used, with the reasons, or a word may be a label or mean none."""
    if has_own_labels:
        require_settled_labels(intake.missing_words, intake.targets, len(keys.text_hash), product)
    rows = intake.rows
    listed = ", ".join(f"{reason}: {count:,}" for reason, count in reasons.most_common())
    if not len(keys.text_hash):
        raise DataError(
            f"none of the {rows:,} rows can be used ({listed})",
            product.data.shown,
            _hint(reasons, product),
        )
    if product.certify.path and not keys.own.any():
        raise DataError(
            f"none of its rows can be used to certify (all rows left out: {listed})",
            short_name(product.certify.path),
            "It needs the columns of the training data, filled.",
        )


def require_training(sides: SplitSides, product: Product) -> None:
    """Raise DataError when no row is left to train on."""
    if not (sides.side == TRAIN).any():
        certification = int((sides.side == CERTIFICATION).sum())
        raise DataError(
            f"no row is left to train on: all that can be used ({certification:,}) certify",
            product.data.shown,
            "The certification file must hold other rows than the training data."
            if product.certify.path
            else "Collect more rows.",
        )


def require_certification(sides: SplitSides, product: Product) -> None:
    """Raise DataError when a certificate is wanted and nothing could give one."""
    train = int((sides.side == TRAIN).sum())
    if not (sides.side == CERTIFICATION).any() and product.certify.fraction != 0.0:
        raise DataError(
            f"none of the {train:,} usable rows fell to certification, so nothing could be certified",
            product.data.shown,
            "Collect more rows, or ask for no certificate: `certify: {fraction: 0}`.",
        )


def _hint(reasons: Counter[str], product: Product) -> str:
    most = reasons.most_common(1)[0][0] if reasons else ""
    hints = {
        "empty_input": f"Check `data.input`: is '{', '.join(product.data.input)}' the column that holds the text?",
        "missing_target": f"Check `data.target`: is '{product.data.target}' the column that holds the answer? {NO_LABELS}",
        "not_labelled": "Label some first: `rung label product.yaml`.",
        "bad_time": f"Check `data.time`: is '{product.data.time}' a column of dates?",
    }
    return hints.get(most, "Open the file in an editor: is it the table you meant?")
