"""What the server says of a model: name, schema, certificate, form elements of its inputs, an example row."""

from __future__ import annotations

from typing import Any

from rung.core.kind import kind
from rung.core.manifest import Manifest
from rung.core.task import Task
from rung.pages.report import certificate_claim
from rung.serving.http.access import Caller
from rung.serving.model_registry import LoadedModel

# Rows packed with a model come from the training data: only these roles may see one.
_EXAMPLE_ROLES = frozenset({"review", "admin"})


def model_info(loaded: LoadedModel, caller: Caller, lang: str, max_rows: int) -> dict[str, Any]:
    """Return the description of a model as JSON. lang: of its claim. max_rows: most rows of one request."""
    manifest, predictor = loaded.manifest, loaded.predictor
    inputs = []
    for field in manifest.schema.inputs:
        known = kind(field.kind)
        shown = {"widget": known.widget(field), "schema": known.json_schema(field)}
        inputs.append({"name": field.name, "kind": field.kind, **shown})
    return {
        "name": manifest.name,
        "version": manifest.version,
        "task": manifest.task,
        "rung": manifest.rung,
        "endpoint": manifest.endpoint,
        "certified": manifest.certified,
        "certificate": manifest.certificate,
        "claim": _claim(manifest, predictor.task, lang),
        "schema": manifest.schema.as_dict(),
        "inputs": inputs,
        "example": loaded.example if caller.role in _EXAMPLE_ROLES else None,
        "max_rows": max_rows,
        "streams": predictor.streams,
    }


def _claim(manifest: Manifest, task: Task, lang: str) -> str | None:
    """Return what the certificate claims, in a language; None for a model without a certificate."""
    found = manifest.certificate
    if not found:
        return None
    bar = [
        {
            "at_least"
            if task.metric(one["metric"], manifest.schema).higher_is_better
            else "at_most": one.get("level")
        }
        for one in found.get("conditions", ())
    ]
    return certificate_claim({"certificate": found, "bar": bar}, lang)
