"""The API documentation as one HTML page without external resources: every endpoint, its fields, a curl example."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from typing import Any

_STYLE = """
:root { color-scheme: light dark; --line: #8886; --soft: #8882; }
body { font: 16px/1.5 system-ui, "Noto Sans CJK SC", sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem; }
pre { background: var(--soft); padding: .8rem; border-radius: .4rem; overflow-x: auto; } code { font-size: .92em; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line); }
h2 { margin-top: 2.4rem; font-size: 1.15rem; } .verb { font-weight: 700; text-transform: uppercase; }
"""


def docs_page(openapi: Mapping[str, Any]) -> str:
    """Return an OpenAPI 3 document as HTML."""
    parts = [
        _operation(path, verb, operation, openapi)
        for path, verbs in openapi["paths"].items()
        for verb, operation in verbs.items()
    ]
    title = escape(f"{openapi['info']['title']} {openapi['info']['version']}")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, '
        f'initial-scale=1"><title>{title}: API</title><style>{_STYLE}</style></head><body><h1>API</h1>'
        '<p>Machine-readable: <a href="/openapi.json">openapi.json</a>. In the browser: <a href="/">try it</a>. Errors are JSON with '
        "<code>problem</code>, <code>where</code> and <code>fix</code>.</p>"
        + "".join(parts)
        + "</body></html>"
    )


def _operation(path: str, verb: str, operation: Mapping[str, Any], openapi: Mapping[str, Any]) -> str:
    head = f'<h2><span class="verb">{escape(verb)}</span> <code>{escape(path)}</code></h2><p>{escape(operation.get("summary", ""))}</p>'
    content = operation.get("requestBody", {}).get("content", {})
    body = content.get("application/json", {}).get("schema")
    if not body:
        return head
    schema = _resolve(body, openapi)
    required = set(schema.get("required", ()))
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code>{'' if name in required else ' (optional)'}</td><td>{escape(_type_name(field, openapi))}</td>"
        f"<td>{escape(field.get('description', ''))}</td></tr>"
        for name, field in schema.get("properties", {}).items()
    )
    example = {
        name: _example(field, openapi)
        for name, field in schema.get("properties", {}).items()
        if name in required
    }
    curl = f"curl localhost:8000{path} -H 'Content-Type: application/json' \\\n  -d '{json.dumps(example, ensure_ascii=False)}'"
    if files := _form_example(content):
        curl = f"curl localhost:8000{path} {files}"
    return (
        f"{head}<table><tr><th>field</th><th>type</th><th></th></tr>{rows}</table><pre>{escape(curl)}</pre>"
        + _answer(operation, openapi)
    )


def _form_example(content: Mapping[str, Any]) -> str:
    """Return curl's arguments for file uploads; "" for an operation without files."""
    form = content.get("multipart/form-data", {}).get("schema", {})
    named = {name: form["properties"][name] for name in form.get("required", ())}
    parts = {name: part.get("anyOf", [part])[0] for name, part in named.items()}
    if not any("format" in part for part in parts.values()):
        return ""
    return " ".join(f"-F '{name}={'@FILE' if 'format' in part else '...'}'" for name, part in parts.items())


def _answer(operation: Mapping[str, Any], openapi: Mapping[str, Any]) -> str:
    """Return an example prediction; "" for an operation that does not predict."""
    content = operation["responses"].get("200", {}).get("content", {})
    schema = _resolve(content.get("application/json", {}).get("schema", {}), openapi)
    rows = schema.get("properties", {}).get("predictions")
    if not rows:
        return ""
    answer = _resolve(rows["items"]["anyOf"][0], openapi)
    shown = json.dumps(answer["examples"][0], ensure_ascii=False)
    return f"<p>An entry of <code>predictions</code>, or <code>error</code> in its place:</p><pre>{escape(shown)}</pre>"


def _resolve(schema: Mapping[str, Any], openapi: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in schema:
        found: Any = openapi
        for step in schema["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        schema = found
    return schema


def _type_name(schema: Mapping[str, Any], openapi: Mapping[str, Any]) -> str:
    schema = _resolve(schema, openapi)
    if "anyOf" in schema:
        return " or ".join(_type_name(choice, openapi) for choice in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_type_name(schema.get('items', {}), openapi)}"
    if "properties" in schema:
        return (
            "{"
            + ", ".join(
                f"{name}: {_type_name(field, openapi)}" for name, field in schema["properties"].items()
            )
            + "}"
        )
    kind = str(schema.get("type", "any"))
    return {"string": "text", "boolean": "true or false"}.get(kind, kind)


def _example(schema: Mapping[str, Any], openapi: Mapping[str, Any]) -> Any:
    schema = _resolve(schema, openapi)
    if "anyOf" in schema:
        return _example(schema["anyOf"][0], openapi)
    if schema.get("type") == "array":
        return [_example(schema.get("items", {}), openapi)]
    if "properties" in schema:
        return {name: _example(field, openapi) for name, field in schema["properties"].items()}
    return {"string": "...", "number": 1.0, "integer": 1, "boolean": False}.get(schema.get("type", ""), "...")
