"""The rooms of CONTRIBUTING.md and the borders between them, held by walking every import."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Where each import package lives, beside the ones that it may import of ours.
ROOMS = {
    "trustcast": ("shared", {"trustcast"}),
    "trustcast_api": ("services/api", {"trustcast", "trustcast_api"}),
    "trustcast_worker": ("services/worker", {"trustcast", "trustcast_worker"}),
    "trustcast_gateway": ("services/gateway-listener", {"trustcast", "trustcast_gateway"}),
    "trustcast_cli": ("cli", {"trustcast", "trustcast_cli"}),
}
# Whose import is allowed in these files only (a folder stands for everything below it).
ONLY_IN = {
    "jks": ["shared/trustcast/keystore/"],
    "lxml": [
        "cli/trustcast_cli/api_manager.py",
        "services/gateway-listener/trustcast_gateway/gateway_home.py",
        "services/gateway-listener/trustcast_gateway/reload/",
        "services/gateway-listener/trustcast_gateway/outputs/",
    ],
    "celery": ["shared/trustcast/broker.py", "services/worker/trustcast_worker/"],
    "kombu": ["shared/trustcast/broker.py", "services/worker/trustcast_worker/"],
    "redis": [
        "shared/trustcast/broker.py",
        "services/worker/trustcast_worker/app.py",
        "services/gateway-listener/trustcast_gateway/hints.py",
    ],
    "sqlalchemy": [
        "shared/trustcast/storage/",
        "services/api/",
        "services/worker/",
        "cli/trustcast_cli/wso2/database.py",
    ],
    "alembic": ["shared/trustcast/storage/"],
    "fastapi": ["services/api/"],
    "starlette": ["services/api/"],
}
LOCKED_FOR = {"trustcast_api": "api", "trustcast_worker": "worker", "trustcast_gateway": "gateway"}


def _modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def _imports(module: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _tops(module: Path) -> set[str]:
    return {name.partition(".")[0] for name in _imports(module)}


def _name(module: Path) -> str:
    return module.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_itself_and_shared(room: str) -> None:
    folder, allowed = ROOMS[room]

    strangers = {_name(m): found for m in _modules(folder) if (found := (_tops(m) & ROOMS.keys()) - allowed)}

    assert strangers == {}


def test_the_domain_imports_the_standard_library_and_cryptography_only() -> None:
    allowed = {*sys.stdlib_module_names, "cryptography", "trustcast"}

    strangers = {_name(m): found for m in _modules("shared/trustcast/domain") if (found := _tops(m) - allowed)}

    assert strangers == {}


def test_the_domain_knows_no_other_part_of_shared() -> None:
    outside = {
        _name(module): name
        for module in _modules("shared/trustcast/domain")
        for name in _imports(module)
        if name.startswith("trustcast.") and not name.startswith("trustcast.domain")
    }

    assert outside == {}


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_is_imported_only_where_it_belongs(library: str) -> None:
    elsewhere = [
        name
        for folder in ("shared", "services", "cli")
        for module in _modules(folder)
        if library in _tops(module) and not (name := _name(module)).startswith(tuple(ONLY_IN[library]))
    ]

    assert elsewhere == []


@pytest.mark.parametrize("service", LOCKED_FOR)
def test_a_services_lock_holds_whatever_its_imports_reach(service: str) -> None:
    """An image holds the lock and nothing else: what is missing there would crash the service at its start."""
    lock = (ROOT / "requirements" / f"{LOCKED_FOR[service]}.txt").read_text()
    locked = {_normal(name) for name in re.findall(r"^([A-Za-z0-9._-]+)==", lock, flags=re.MULTILINE)}
    distributions = packages_distributions()

    missing = {
        f"{_name(module)} imports {name}"
        for module in _reached(service)
        for name in _tops(module) - sys.stdlib_module_names - ROOMS.keys()
        if locked.isdisjoint({_normal(distribution) for distribution in distributions.get(name, [])})
    }

    assert missing == set()


def _reached(service: str) -> set[Path]:
    seen: set[Path] = set()
    waiting = _modules(ROOMS[service][0])
    while waiting:
        module = waiting.pop()
        seen.add(module)
        waiting += [m for name in _imports(module) for m in _files_of(name) if m not in seen]
    return seen


def _normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def _files_of(name: str) -> list[Path]:
    path = ROOT / "shared" / name.replace(".", "/")
    return [file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()]
