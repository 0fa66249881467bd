"""What the documents say of settings and routes is so."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from pydantic.fields import FieldInfo

import trustcast_api.settings
import trustcast_gateway.settings
import trustcast_worker.settings
from trustcast.settings import Settings
from trustcast.storage import tables

DOCS = Path(__file__).parents[2] / "docs"
PROCESSES: dict[str, type[Settings]] = {
    "The api": trustcast_api.settings.Settings,
    "The worker": trustcast_worker.settings.Settings,
    "A gateway's listener": trustcast_gateway.settings.Settings,
}
# The settings' classes take either of two; that one of them is needed is not in their defaults.
EITHER = {"DATABASE_URL", "DATABASE_URL_FILE", "REDIS_URL", "REDIS_URL_FILE"}
PAPERS = [*sorted(path.name for path in DOCS.glob("*.md")), "../README.md"]


def _documented(process: str) -> dict[str, str]:
    """Name -> default, as the process' table says it."""
    section = (DOCS / "settings.md").read_text().partition(f"## {process}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]*`) \| ([^|]+) \|", section, re.MULTILINE)[1:]
    return {name: default.strip("`") for names, default in rows for name in re.findall(r"`(\w+)`", names)}


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    return "—" if field.default in {None, ()} else str(field.default).removesuffix(".0")


@pytest.mark.parametrize("process", PROCESSES)
def test_every_setting_is_documented_with_its_default(process: str) -> None:
    fields = {name.upper(): _default(field) for name, field in PROCESSES[process].model_fields.items()}
    documented = _documented(process)

    assert documented.keys() == fields.keys()
    assert {name: default for name, default in documented.items() if name not in EITHER} == {
        name: default for name, default in fields.items() if name not in EITHER
    }


def test_every_table_is_in_the_architecture() -> None:
    said = set(re.findall(r"`(\w+)`", (DOCS / "architecture.md").read_text()))

    assert tables.metadata.tables.keys() - said == set()


@pytest.mark.parametrize("paper", PAPERS)
def test_every_address_that_an_example_asks_is_in_the_contract(paper: str) -> None:
    paths = json.loads((DOCS / "openapi.json").read_text())["paths"]
    known = [re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path))) for path in paths]
    asked = re.findall(r"(?:\$url|http://127\.0\.0\.1:8080)(/[\w./-]+)", (DOCS / paper).read_text())

    assert [path for path in asked if not any(pattern.fullmatch(path) for pattern in known)] == []


@pytest.mark.parametrize("paper", PAPERS)
def test_every_file_that_a_document_links_exists(paper: str) -> None:
    links = re.findall(r"\]\((?!http|#)([^)#]+)", (DOCS / paper).read_text())

    assert [link for link in links if not (DOCS / paper).parent.joinpath(link).exists()] == []
