"""The OpenAPI document as one HTML page without external resources."""

import re
from collections.abc import Iterator, Mapping
from html import escape
from importlib.resources import files
from typing import Any

import orjson

Node = Mapping[str, Any]

_CODE = re.compile(r"`([^`]+)`")
_BOLD = re.compile(r"\*\*([^*]+)\*\*")
_BOUNDS = ("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "pattern")


def page(document: Node) -> str:
    """The document as HTML: operations under their headings, then the refusals, then the schemas."""
    sheet = (files(__package__) / "page.css").read_text()
    title = f"{document['info']['title']} API {document['info']['version']}"
    body = "".join(
        (
            f"<nav><h1>{escape(title)}</h1>{''.join(_contents(document))}</nav><main>",
            f'<section id="about"><h1>{escape(title)}</h1>{_prose(document["info"]["description"])}',
            '<p><a href="/openapi.json">/openapi.json</a></p></section>',
            *(_section(tag, document) for tag in _tags(document)),
            _refusals(document),
            _schemas(document),
            "</main>",
        )
    )
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{sheet}</style>'
    view = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    return f'<!doctype html><html lang="en"><head>{head}{view}</head><body>{body}</body></html>'


def _tags(document: Node) -> list[str]:
    return [tag["name"] for tag in document["tags"]]


def _operations(document: Node, tag: str) -> Iterator[tuple[str, str, Node]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if tag in operation["tags"]:
                yield method, path, operation


def _contents(document: Node) -> Iterator[str]:
    yield '<a class="tag" href="#about">About</a>'
    for tag in _tags(document):
        yield f'<a class="tag" href="#{_anchor(tag)}">{escape(tag)}</a>'
        for method, _, operation in _operations(document, tag):
            name = escape(operation["summary"])
            yield f'<a href="#{operation["operationId"]}"><i class="{method}"></i>{name}</a>'
    yield '<a class="tag" href="#refusals">Refusals</a><a class="tag" href="#schemas">Schemas</a>'


def _section(tag: str, document: Node) -> str:
    found = "".join(_operation(*each, document) for each in _operations(document, tag))
    return f'<section id="{_anchor(tag)}"><h2>{escape(tag)}</h2>{found}</section>'


def _operation(method: str, path: str, said: Node, document: Node) -> str:
    spelled = re.sub(r"(\{\w+\})", r"<em>\1</em>", escape(path))
    scopes = " or ".join(f"<code>{scope['bearer'][0]}</code>" for scope in said["security"])
    parts = (
        f'<article id="{said["operationId"]}"><h3>{escape(said["summary"])}</h3>',
        f'<p class="call"><b class="{method}">{method.upper()}</b> <code>{spelled}</code></p>',
        _prose(said.get("description", "")),
        f"<p>Needs {scopes}.</p>" if scopes else "<p>Needs no key.</p>",
        _parameters(said["parameters"], document),
        _request(said.get("requestBody")),
        "<h4>Answers</h4>",
        *(_response(status, found, document) for status, found in said["responses"].items()),
        "</article>",
    )
    return "".join(parts)


def _parameters(parameters: list[Node], document: Node) -> str:
    rows = [
        _row(p["name"], p["schema"], p.get("description", ""), p.get("required"), location=p["in"])
        for p in (_resolved(parameter, document) for parameter in parameters)
    ]
    return f"<h4>Parameters</h4><table>{''.join(rows)}</table>" if rows else ""


def _request(body: Node | None) -> str:
    if body is None:
        return ""
    content = body["content"]["application/json"]
    examples = "".join(
        f"<details><summary>Example: {escape(name)}</summary>{_json(example['value'])}</details>"
        for name, example in content.get("examples", {}).items()
    )
    return f"<h4>Body</h4><p>{_type(content['schema'])}</p>{examples}"


def _response(status: str, said: Node, document: Node) -> str:
    found = _resolved(said, document)
    if "$ref" not in said:
        [content] = found["content"].values()
        return f'<p class="good"><b>{status}</b> {_type(content["schema"])}</p>'
    codes = found["content"]["application/json"]["schema"]["properties"]["code"]["enum"]
    links = ", ".join(f'<a href="#code-{code}"><code>{code}</code></a>' for code in codes)
    return f'<p class="bad"><b>{status}</b> {links}</p>'


def _refusals(document: Node) -> str:
    codes = document["components"]["schemas"]["Refusal"]["properties"]["code"]["x-codes"]
    rows = "".join(
        f'<tr id="code-{c["code"]}"><td><code>{c["code"]}</code><td>{c["status"]}'
        f"<td>{_inline(c['text'])} <small>{_inline(c['remedy'])}</small></tr>"
        for c in codes
    )
    return f'<section id="refusals"><h2>Refusals</h2><table>{rows}</table></section>'


def _schemas(document: Node) -> str:
    found = "".join(
        f'<article id="schema-{name}"><h3>{name}</h3>{_schema(schema)}</article>'
        for name, schema in document["components"]["schemas"].items()
    )
    return f'<section id="schemas"><h2>Schemas</h2>{found}</section>'


def _schema(schema: Node) -> str:
    required = schema.get("required", ())
    rows = "".join(
        _row(name, rule, rule.get("description", ""), name in required)
        for name, rule in schema.get("properties", {}).items()
    )
    about = _prose(schema.get("description", ""))
    return f"{about}<table>{rows}</table>" if rows else f"{about}<p>{_type(schema)}</p>"


def _row(name: str, rule: Node, about: str, required: object, *, location: str = "") -> str:
    marks = "".join(f" <small>{mark}</small>" for mark in (location, "required" * bool(required)))
    return f"<tr><td><code>{escape(name)}</code>{marks}<td>{_type(rule)} {_inline(about)}</tr>"


def _type(rule: Node) -> str:
    """A type in a few words, with its bounds."""
    if "$ref" in rule:
        name = rule["$ref"].rpartition("/")[2]
        return f'<a href="#schema-{name}">{name}</a>'
    options = rule.get("anyOf") or rule.get("oneOf") or rule.get("allOf")
    if options:
        said = " or ".join(dict.fromkeys(map(_type, options)))
    elif "enum" in rule or "const" in rule:
        values = rule.get("enum") or [rule["const"]]
        said = " · ".join(f"<code>{escape(str(value))}</code>" for value in values)
    elif rule.get("type") == "array":
        said = f"array of {_type(rule['items']) if rule.get('items') else 'anything'}"
    else:
        said = escape(" ".join(str(rule[k]) for k in ("type", "format") if k in rule) or "anything")
    return f'<span class="type">{said}{_bounds(rule)}</span>'


def _bounds(rule: Node) -> str:
    said = [f"{bound} {rule[bound]}" for bound in _BOUNDS if bound in rule]
    if rule.get("default") is not None:
        said.append(f"default {orjson.dumps(rule['default']).decode()}")
    return f" <small>{escape(', '.join(said))}</small>" if said else ""


def _resolved(said: Node, document: Node) -> Node:
    """The schema that a reference names."""
    found: Any = said
    if "$ref" in said:
        found = document
        for part in said["$ref"].removeprefix("#/").split("/"):
            found = found[part]
    return dict(found)


def _anchor(tag: str) -> str:
    return "tag-" + re.sub(r"\W+", "-", tag.lower())


def _json(value: object) -> str:
    return f"<pre>{escape(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())}</pre>"


def _prose(text: str) -> str:
    return "".join(f"<p>{_inline(part)}</p>" for part in text.split("\n\n") if part)


def _inline(text: str) -> str:
    return _BOLD.sub(r"<b>\1</b>", _CODE.sub(r"<code>\1</code>", escape(text)))
