"""A small world to watch: a reference of real texts or a table, a manifest, and rows as a journal gives them."""

import time
from types import SimpleNamespace

import rung
from rung.core.types import Field, Prediction, Schema
from rung.journal.reader import LoggedPrediction
from rung.journal.records import PredictionRecord, new_id
from rung.monitoring.drift.reference import DriftReference, fit_input_reference, fit_prediction_reference
from rung.monitoring.drift.statistics import unmonitored_inputs

TEXT = Schema((Field("text", "text", "input"),), (Field("label", "category", "output", ("a", "b")),))


def manifest(schema, certificate=None):
    return SimpleNamespace(name="desk", version="v1", schema=schema, certificate=certificate)


def reference_of(schema, columns, truths, answers, sure=0.9, seed=0):
    inputs, counts, rows = fit_input_reference(schema, columns, seed)
    predictions = fit_prediction_reference(schema, truths, [Prediction(a, sure) for a in answers])
    return DriftReference(inputs, counts, rows, predictions, unmonitored_inputs(schema))


def row(nth, values, label="a", sure=0.9, hashed=None):
    """A served row, the nth: the id carries its place, and the text of its own unless a hash is given."""
    hashed = f"{nth:016x}" * 2 if hashed is None else hashed
    return LoggedPrediction(
        f"{nth:032x}", float(nth), values, "" if values else "hash", hashed, {"label": label, "probability": sure}, 1.0, 1e-7
    )  # fmt: skip


def write_rows(journal, built, rows, days=3):
    """Serve texts with the built model and write them down as a server does, some days ago."""
    model = rung.load(built.bundle)
    texts = [{"text": text} for text in rows]
    as_read = []
    answers = list(model.respond(texts, answered_by=True, read=as_read.append))
    begin_at, made = time.time() - days * 86_400, []
    for nth, (values, answer) in enumerate(zip(as_read, answers, strict=True)):
        made.append(
            PredictionRecord(
                new_id(), begin_at + nth, "r", model.manifest.name, model.manifest.version, "tfidf_linear", "shop",
                None, values, answer, 1.0, 1e-7,
            )
        )  # fmt: skip
    journal.write(*made)
    return made
