"""The api's OpenAPI document: current, with an example for everything, and kept by the api."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from tests.fuzz.run import fuzz
from tests.served_api import ServedApi
from trustcast_api.document import document

DOCUMENT = document()
CHECKED_IN = Path(__file__).parents[2] / "docs" / "openapi.json"
METHODS = {"get", "put", "post", "delete", "patch"}


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method in METHODS & methods.keys():
            yield f"{method.upper()} {path}", methods[method]


def bodies() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every JSON or form body, asked or answered, of a route that goes well."""
    for name, operation in operations():
        if "requestBody" in operation:
            for kind, media in operation["requestBody"]["content"].items():
                yield f"{name} asks {kind}", media
        for status, response in operation["responses"].items():
            for kind, media in response.get("content", {}).items():
                if status.startswith("2") and kind == "application/json":
                    yield f"{name} answers {status}", media


def examples(media: dict[str, Any]) -> list[Any]:
    """The examples of a body, or of the schema that it refers to."""
    schema = media.get("schema", {})
    if "$ref" in schema:
        schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return [media["example"]] if "example" in media else list(schema.get("examples", []))


def test_the_document_that_is_checked_in_is_the_one_that_is_served(api: ServedApi) -> None:
    served = api.ask("GET", "/openapi.json", as_=None).json()

    assert served["openapi"].startswith("3.1")
    assert json.loads(CHECKED_IN.read_text()) == served, "stale: make openapi"


@pytest.mark.parametrize(("name", "media"), [pytest.param(*one, id=one[0]) for one in bodies()])
def test_every_body_has_an_example_that_fits_its_schema(name: str, media: dict[str, Any]) -> None:
    schema = {"components": DOCUMENT["components"], **media["schema"]}

    assert examples(media) != []
    for one in examples(media):
        jsonschema_rs.validate(schema, one)


@pytest.mark.parametrize(("name", "operation"), [pytest.param(*one, id=one[0]) for one in operations()])
def test_every_route_says_what_it_does_and_what_may_go_wrong(name: str, operation: dict[str, Any]) -> None:
    assert operation["summary"]
    assert operation["description"]
    assert any(status.startswith("4") for status in operation["responses"])


def test_problem_says_which_members_extend_it() -> None:
    assert {"operation", "users", "gateways"} <= DOCUMENT["components"]["schemas"]["Problem"]["properties"].keys()


def test_every_route_has_a_name_of_its_own() -> None:
    ids = [operation["operationId"] for _, operation in operations()]

    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z]+([A-Z][a-z0-9]+)+", id_) for id_ in ids)


def test_summaries_tell_routes_apart() -> None:
    summaries = [operation["summary"] for _, operation in operations()]

    assert len(set(summaries)) == len(summaries)
    assert all(" " in summary for summary in summaries)


def test_every_tag_is_described() -> None:
    described = {tag["name"] for tag in DOCUMENT["tags"] if tag["description"]}

    assert {tag for _, operation in operations() for tag in operation["tags"]} == described


@pytest.mark.parametrize(("name", "operation"), [pytest.param(*one, id=one[0]) for one in operations()])
def test_every_parameter_is_described(name: str, operation: dict[str, Any]) -> None:
    named = {one["name"] for one in operation.get("parameters", [])}

    assert [one["name"] for one in operation.get("parameters", []) if not one.get("description")] == []
    assert ("Trustcast-Tenant" in named) == bool(operation["security"])
    if "requestBody" in operation or not name.startswith("GET"):
        assert "Idempotency-Key" in named


def test_the_api_keeps_to_its_document_whatever_is_sent(fresh_api: ServedApi, tmp_path: Path) -> None:
    verdict = fuzz(fresh_api, tmp_path, "--phases", "examples,fuzzing", "--max-examples", "15", timeout=110)

    assert (verdict.failures, verdict.errors, verdict.complete) == ([], 0, True), verdict.output
    assert verdict.cases > 500
