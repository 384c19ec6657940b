"""The API documentation as one HTML page without external resources: every endpoint, its fields, a curl example."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from rung.core.messages import say, say_or
from rung.pages.elements import text
from rung.serving.http.response_schema import EXAMPLE_ID

_STYLE = """
:root { color-scheme: light dark; --line: #8886; --soft: #8882; }
body { background: Canvas; color: CanvasText; font: 16px/1.5 system-ui, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem; }
pre { background: var(--soft); padding: .8rem; border-radius: .4rem; overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere; } code { font-size: .92em; overflow-wrap: anywhere; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; min-width: 6rem; }
h2 { margin-top: 2.4rem; font-size: 1.15rem; overflow-wrap: anywhere; } h3 { font-size: .95rem; margin: 1rem 0 .3rem; } .verb { font-weight: 700; text-transform: uppercase; }
.public { font-size: .8rem; font-weight: 400; border: 1px solid var(--line); border-radius: 1rem; padding: 0 .5rem; }
input, button { font: inherit; padding: .5rem .8rem; border: 1px solid var(--line); border-radius: .4rem; background: transparent; color: inherit; max-width: 100%; box-sizing: border-box; }
.problem { color: #b3261e; } @media (prefers-color-scheme: dark) { .problem { color: #ff8f85; } }
"""
# The key is sent with one request and stored nowhere. The page that comes back replaces this one.
_KEY_SCRIPT = """
document.getElementById("door").addEventListener("submit", async (event) => {
  event.preventDefault();
  const said = document.getElementById("said");
  const reply = await fetch("/docs", { headers: { Authorization: "Bearer " + document.getElementById("key").value, Accept: "text/html" } });
  if (!reply.ok) { said.hidden = false; return; }
  const page = await reply.text();
  document.open(); document.write(page); document.close();
});
document.getElementById("key").focus();
"""
_SUBJECT = "customer-17"


@dataclass(frozen=True)
class _Context:
    """What every part of the page needs. address: of the server. keyed: whether requests need a key."""

    openapi: Mapping[str, Any]
    lang: str
    address: str
    max_rows: int

    @property
    def keyed(self) -> bool:
        return "security" in self.openapi

    def word(self, key: str, **values: Any) -> str:
        return say(f"serve.docs.{key}", self.lang, **values)


def server_address(scheme: str, host: str) -> str:
    """Return the address of the server as the caller reached it; localhost:8000 where its Host header is odd."""
    if not re.fullmatch(r"[A-Za-z0-9.-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?", host):
        host = "localhost:8000"
    return f"https://{host}" if scheme == "https" else host


def docs_page(openapi: Mapping[str, Any], lang: str, address: str, max_rows: int) -> str:
    """Return an OpenAPI 3 document as HTML. address: of the server. max_rows: most rows of one request."""
    context = _Context(openapi, lang, address, max_rows)
    parts = [
        _operation(path, verb, operation, context)
        for path, verbs in openapi["paths"].items()
        for verb, operation in verbs.items()
    ]
    lead = text(context.word("lead"))
    lead = lead.replace("<code>/openapi.json</code>", '<a href="/openapi.json">openapi.json</a>')
    lead = lead.replace("<code>/</code>", f'<a href="/">{escape(address)}/</a>')
    keyed = f"<p>{text(context.word('keyed'))}</p>" if context.keyed else ""
    return _document(lang, context.word("title"), f"<p>{lead}</p>{keyed}" + "".join(parts))


def key_page(lang: str) -> str:
    """Return the page that asks for an API key and then shows the documentation."""
    word = {key: escape(say(f"serve.docs.{key}", lang)) for key in ("title", "need_key", "show", "denied")}
    label = escape(say("serve.try.key", lang))
    inner = (
        f'<p>{word["need_key"]}</p><form id="door"><p><label for="key">{label}</label></p>'
        f'<p><input id="key" type="password" autocomplete="off" required> <button>{word["show"]}</button></p></form>'
        f'<p id="said" class="problem" role="status" hidden>{word["denied"]}</p><script>{_KEY_SCRIPT}</script>'
    )
    return _document(lang, say("serve.docs.title", lang), inner)


def _document(lang: str, title: str, inner: str) -> str:
    return (
        f'<!doctype html><html lang="{"zh-CN" if lang == "zh" else "en"}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main><h1>{escape(title)}</h1>{inner}</main></body></html>"
    )


def _operation(path: str, verb: str, operation: Mapping[str, Any], context: _Context) -> str:
    public = context.keyed and operation.get("security") == []
    mark = f' <span class="public">{escape(context.word("public"))}</span>' if public else ""
    head = (
        f'<h2><span class="verb">{escape(verb)}</span> <code>{escape(path)}</code>{mark}</h2>'
        f"<p>{escape(operation.get('summary', ''))}</p>"
    )
    content = operation.get("requestBody", {}).get("content", {})
    body = content.get("application/json", {}).get("schema")
    schema = _resolve(body, context.openapi) if body else {}
    curl = _curl(path, schema, content, context, needs_key=context.keyed and not public)
    return (
        head
        + (_fields(schema, context) if body else "")
        + f"<h3>{escape(context.word('request'))}</h3><pre>{escape(curl)}</pre>"
        + _response(operation, context)
    )


def _fields(schema: Mapping[str, Any], context: _Context) -> str:
    """Return the table of a request's fields."""
    required = set(schema.get("required", ()))
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code>{'' if name in required else ' ' + escape(context.word('optional'))}</td>"
        f"<td>{escape(_type_name(field, context))}</td><td>{escape(_meaning(name, field, context))}</td></tr>"
        for name, field in schema.get("properties", {}).items()
    )
    head = "".join(f"<th>{escape(context.word(key))}</th>" for key in ("field", "type", "meaning"))
    return f'<div class="wide" tabindex="0"><table><tr>{head}</tr>{rows}</table></div>'


def _meaning(name: str, field: Mapping[str, Any], context: _Context) -> str:
    described = str(field.get("description", ""))
    if context.lang == "en" or not described:
        return described
    if name == "inputs":
        key = "inputs" if any(char.isdigit() for char in described) else "row"
        return say(f"serve.field.{key}", context.lang, rows=context.max_rows)
    return say_or(f"serve.field.{name}", context.lang, described)


def _curl(
    path: str, schema: Mapping[str, Any], content: Mapping[str, Any], context: _Context, needs_key: bool
) -> str:
    """Return a request as a command line."""
    parts = [f"curl {context.address}{path}"]
    if needs_key:
        parts.append("-H 'Authorization: Bearer KEY'")
    if files := _form_example(content):
        parts.append(files)
    elif schema:
        body = {
            name: _example_of(name, field, context)
            for name, field in schema.get("properties", {}).items()
            if name in set(schema.get("required", ()))
        }
        quoted = json.dumps(body, ensure_ascii=False).replace("'", "'\\''")
        parts += ["-H 'Content-Type: application/json'", f"-d '{quoted}'"]
    elif path.endswith("/reload"):
        parts.append("-X POST")
    return " \\\n  ".join(parts)


def _example_of(name: str, field: Mapping[str, Any], context: _Context) -> Any:
    """Return an example value of a field of a request."""
    known: dict[str, Any] = {"prediction": EXAMPLE_ID, "subject": _SUBJECT}
    return known[name] if name in known else _example(field, context.openapi)


def _form_example(content: Mapping[str, Any]) -> str:
    """Return curl's arguments for file uploads; "" for an operation without files."""
    form = content.get("multipart/form-data", {}).get("schema", {})
    named = {name: form["properties"][name] for name in form.get("required", ())}
    parts = {name: part.get("anyOf", [part])[0] for name, part in named.items()}
    if not any("format" in part for part in parts.values()):
        return ""
    return " ".join(f"-F '{name}={'@FILE' if 'format' in part else '...'}'" for name, part in parts.items())


def _response(operation: Mapping[str, Any], context: _Context) -> str:
    """Return an example response; "" for an operation that documents none."""
    documented = {
        status: found["content"] for status, found in operation["responses"].items() if "content" in found
    }
    status = next((status for status in ("200", "201") if status in documented), None)
    if status is None:
        return ""
    content = documented[status]
    if "text/event-stream" in content:
        events = _resolve(content["text/event-stream"]["schema"], context.openapi)
        shown = _events(events["properties"]["data"]["contentSchema"]["anyOf"], context)
    else:
        answer = content["application/json"]
        example = answer.get("example") or _example(answer["schema"], context.openapi)
        shown = json.dumps(example, ensure_ascii=False, indent=1)
    note = f"<p><small>{text(context.word('in_place'))}</small></p>" if '"answered_by"' in shown else ""
    title = f"{context.word('response')} ({status})"
    return f"<h3>{escape(title)}</h3><pre>{escape(shown)}</pre>{note}"


def _events(schemas: Sequence[Mapping[str, Any]], context: _Context) -> str:
    """Return a stream of server-sent events. schemas: of a piece and of the answer."""
    piece, answer = (
        json.dumps(_example(schema, context.openapi), ensure_ascii=False) for schema in schemas[:2]
    )
    return f"event: piece\ndata: {piece}\n\nevent: answer\ndata: {answer}"


def _resolve(schema: Mapping[str, Any], openapi: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in schema:
        found: Any = openapi
        for step in schema["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        schema = found
    return schema


def _type_name(schema: Mapping[str, Any], context: _Context) -> str:
    schema = _resolve(schema, context.openapi)
    if "anyOf" in schema:
        named = (_type_name(choice, context) for choice in schema["anyOf"] if choice.get("type") != "null")
        return f" {context.word('or')} ".join(dict.fromkeys(named))
    if schema.get("type") == "array":
        return context.word("list_of", of=_type_name(schema.get("items", {}), context))
    if "properties" in schema:
        fields = (f"{name}: {_type_name(field, context)}" for name, field in schema["properties"].items())
        return "{" + ", ".join(fields) + "}"
    named = schema.get("type", "any")
    kinds = [kind for kind in ([named] if isinstance(named, str) else named) if kind != "null"]
    return f" {context.word('or')} ".join(
        say_or(f"serve.docs.types.{kind}", context.lang, str(kind)) for kind in kinds
    )


def _example(schema: Mapping[str, Any], openapi: Mapping[str, Any]) -> Any:
    schema = _resolve(schema, openapi)
    if schema.get("examples"):
        return schema["examples"][0]
    if "anyOf" in schema:
        return _example(schema["anyOf"][0], openapi)
    if schema.get("type") == "array":
        return [_example(schema.get("items", {}), openapi)]
    if "properties" in schema:
        return {name: _example(field, openapi) for name, field in schema["properties"].items()}
    named = schema.get("type", "")
    kind = named if isinstance(named, str) else next(iter(named), "")
    return {"string": "...", "number": 1.0, "integer": 1, "boolean": False, "object": {}}.get(kind, "...")
