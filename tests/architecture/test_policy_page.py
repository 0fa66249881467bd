"""docs/policy.md has every code that an upload may meet, and none that is no more."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import trustcast.domain
import trustcast.keystore
import trustcast_api
from trustcast.domain import policy_rules, published_api
from trustcast.domain.policy import Policy
from trustcast.storage import routing
from trustcast_api import (
    accept_batch,
    accept_bulk,
    accept_request,
    body,
    cancel_operation,
    complete_request,
    etags,
    read_form,
    read_keystore,
    read_upload,
    scheduled,
)
from trustcast_api.reading import reader
from trustcast_api.routes import form
from trustcast_worker import decide, sweep

PAGE = (Path(__file__).parents[2] / "docs" / "policy.md").read_text()
# They say their codes where they raise them, as their sentences name what is stored.
DECIDING: list[ModuleType] = [
    importlib.import_module("trustcast.domain.register"),
    accept_batch,
    accept_bulk,
    accept_request,
    body,
    cancel_operation,
    complete_request,
    decide,
    etags,
    form,
    read_form,
    read_keystore,
    read_upload,
    reader,
    routing,
    scheduled,
    sweep,
]
ERRORS = {"Rejected", "Conflict", "HinderedError", "PreconditionFailed", "NotFound", "TooManyError", "Unavailable"}
SAYING = ERRORS | {"Warning"}


def documented() -> set[str]:
    """The first column of every table that is headed `code`."""
    tables = re.findall(r"^\| code \|[^\n]*\n((?:\|[^\n]*\n)+)", PAGE, re.MULTILINE)
    first = [row.split("|")[1] for table in tables for row in table.splitlines()]
    return {code for cell in first for code in re.findall(r"`(\w+)`", cell)}


def with_reasons() -> Iterator[ModuleType]:
    """Every module of the door and the domain that has sentences for its codes, but those that judge APIs."""
    for package in (trustcast.domain, trustcast.keystore, trustcast_api):
        for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            if not found.ispkg and not found.name.endswith(".__main__"):
                module = importlib.import_module(found.name)
                if hasattr(module, "REASONS") and module is not published_api:
                    yield module


def raised(module: ModuleType) -> Iterator[str]:
    """The codes that stand in a module's text: `Conflict("code", …)` and `"code": "code"`."""
    for node in ast.walk(ast.parse(Path(str(module.__file__)).read_text())):
        match node:
            case ast.Call(func=ast.Name(id=name), args=[ast.Constant(value=str(code)), *_]) if name in SAYING:
                yield code
            case ast.Dict(keys=keys, values=values):
                for pair in zip(keys, values, strict=True):
                    match pair:
                        case ast.Constant(value="code"), ast.Constant(value=str(code)):
                            yield code


def known() -> set[str]:
    told = {code for module in with_reasons() for code in module.REASONS}
    return told | {code for module in DECIDING for code in raised(module)}


def test_every_code_is_on_the_page() -> None:
    assert sorted(known() - documented()) == []


def test_every_code_on_the_page_exists() -> None:
    assert sorted(documented() - known()) == []


def test_codes_are_found_where_they_are_raised() -> None:
    """Or the tests above would agree about nothing."""
    assert {"alias_exists", "certificate_in_use", "endpoint_not_registered", "attempts_exhausted"} <= known()


def test_policys_own_codes_stand_in_the_order_in_which_they_are_given() -> None:
    expected = [rule.code for rule in (*policy_rules.REFUSALS, *policy_rules.WARNINGS)]

    placed = re.findall(r"^\| `(\w+)`", PAGE, re.MULTILINE)
    assert [code for code in placed if code in expected] == expected


def test_every_setting_of_a_tenant_is_on_the_page_with_its_default() -> None:
    section = PAGE.partition("## Policy of a tenant")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \|", section, re.MULTILINE)

    assert dict(rows) == {name: str(value).lower() for name, value in Policy().settings().items()}
