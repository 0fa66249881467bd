"""Every place of every route into which somebody can paste a text or choose a file, as /openapi.json names them."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

NDJSON = "application/x-ndjson"
Options = dict[str, Any]


@dataclass
class Sent:
    """A request with something in one of its places; `gateway` asks instead of the client's own user."""

    method: str
    path: str
    where: str
    options: Options = field(default_factory=dict)

    def by(self, client: httpx.Client, *, gateway: str) -> httpx.Response:
        token = {"Authorization": f"Bearer {gateway}"} if "/gateways/" in self.path else {}
        headers = self.options.get("headers", {}) | token
        return client.request(self.method, self.path, **self.options | {"headers": headers})

    def shown(self, answer: httpx.Response) -> str:
        return f"{self.method} {self.path[:80]} {self.where}: {answer.status_code} {answer.text[:120]}"


def requests(
    document: Options, text: str, files: Sequence[bytes] = (), *, names: Mapping[str, str], certificate: str = ""
) -> Iterator[Sent]:
    """Give a request for each place, with `text` there, and with each of `files` where a file is asked for.

    The rest of the request is an example of its route's; `names` are good ones for the places in a path, and
    `certificate` (PEM) is what stands in files where something else is tried.
    """
    places = _Places(document, text, files, names, certificate)
    for path, methods in document["paths"].items():
        for method, told in methods.items():
            yield from places.of(path, method, told)


@dataclass
class _Places:
    document: Options
    text: str
    files: Sequence[bytes]
    names: Mapping[str, str]
    certificate: str

    def of(self, path: str, method: str, told: Options) -> Iterator[Sent]:
        good, plain = self._good(told), path.format(**self.names)
        for one in told.get("parameters", []):
            where = f"{one['in']} {one['name']}"
            match one["in"]:
                case "path":
                    held = path.format(**{**self.names, one["name"]: quoted(self.text)})
                    yield Sent(method, held, where, good)
                case "query":
                    yield Sent(method, plain, where, {"params": {one["name"]: self.text}} | good)
                case "header" if "\n" not in self.text:
                    headers = good.get("headers", {}) | {one["name"]: self.text}
                    yield Sent(method, plain, where, good | {"headers": headers})
                case _:
                    pass
        for options, where in self._bodies(told):
            yield Sent(method, plain, where, options)

    def _example(self, told: Options) -> tuple[str, Any]:
        """The kind of a request's body, and a good one."""
        [(kind, content)] = told["requestBody"]["content"].items()
        if "example" in content:
            return kind, content["example"]
        schema = self.document["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
        missing = {name: "text" for name in schema["properties"] if name not in schema["examples"][0]}
        return kind, schema["examples"][0] | missing

    def _good(self, told: Options) -> Options:
        if "requestBody" not in told:
            return {}
        kind, example = self._example(told)
        if kind == NDJSON:
            return _line(example)
        return {"json": example} if kind == "application/json" else self._form(example)

    def _bodies(self, told: Options) -> Iterator[tuple[Options, str]]:
        if "requestBody" not in told:
            return
        kind, example = self._example(told)
        match kind:
            case "application/x-ndjson":
                yield from self._lines(example)
            case "application/json":
                yield from self._json(example)
            case _:
                yield from self._forms(example)
        boundary = "; boundary=x" if kind.startswith("multipart") else ""
        for number, content in enumerate(self.files):
            yield {"content": content, "headers": {"Content-Type": kind + boundary}}, f"whole body {number}"

    def _lines(self, example: str) -> Iterator[tuple[Options, str]]:
        text = json.dumps(self.text)
        for place, body in _with_text(json.loads(example), self.text):
            yield _line(json.dumps(body)), f"line {place}"
            yield _line(json.dumps(body).replace(text, f'"{_escaped(self.text)}"')), f"line escaped {place}"
        yield _line(example.strip()[:-1] + f', "unknown": {{"deep": [{text}]}}}}'), "line unknown"
        yield _line(example.strip()[:-1] + ', "x": "' + self.text), "line broken"

    def _json(self, example: Any) -> Iterator[tuple[Options, str]]:
        for place, body in _with_text(example, self.text):
            yield {"json": body}, f"json {place}"
        yield {"json": example | {"unknown": {"deep": [self.text]}}}, "json unknown"
        yield {"json": example | {self.text: 1}}, "json name"
        yield {"json": [self.text]}, "json list"
        headers = {"Content-Type": "application/json"}
        yield {"content": json.dumps(example)[:-1] + ', "x": "' + self.text, "headers": headers}, "json broken"
        yield {"content": f'{{"x": "{_escaped(self.text)}"}}', "headers": headers}, "json escaped"

    def _forms(self, example: Mapping[str, str]) -> Iterator[tuple[Options, str]]:
        for name in (*example, "ca", "unknown"):  # WSO2's routes leave alone what they do not know, as theirs do
            yield self._form({**example, name: self.text}), f"form {name}"
        for number, content in enumerate(self.files):
            form = self._form(example)
            form["files"]["certificate"] = ("backend.crt", content)
            yield form, f"form file {number}"

    def _form(self, fields: Mapping[str, str]) -> Options:
        held = {name: (None, value) for name, value in fields.items()}
        if self.certificate and fields.get("certificate") != self.text:
            held["certificate"] = (None, self.certificate)
        return {"files": held}


def quoted(text: str) -> str:
    return "".join(f"%{one:02x}" for one in text.encode())


def _escaped(text: str) -> str:
    return "".join(f"\\u{ord(one):04x}" for one in text)


def _line(text: str) -> Options:
    return {"content": text, "headers": {"Content-Type": NDJSON}}


def _with_text(value: Any, text: str, place: str = "") -> Iterator[tuple[str, Any]]:
    """The value with the text in the place of each of its own."""
    if isinstance(value, str):
        yield place, text
    elif isinstance(value, (dict, list)):
        for at in value if isinstance(value, dict) else range(len(value)):
            for inner, changed in _with_text(value[at], text, f"{place}.{at}"):
                whole = copy.copy(value)
                whole[at] = changed
                yield inner, whole
