"""Whoever reads a public name in `shared` finds what it takes, gives and raises; every module says its one idea."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PRODUCT = [path for folder in ("shared", "services", "cli") for path in sorted((ROOT / folder).rglob("*.py"))]

Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def _public(module: Path) -> Iterator[Definition]:
    for node in ast.parse(module.read_text()).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            yield node


def _where(module: Path, name: str = "") -> str:
    return f"{module.relative_to(ROOT).as_posix()} {name}".strip()


def _words(text: str) -> set[str]:
    return set(re.findall(r"[a-z0-9]+", text.lower()))


def test_every_module_says_its_one_idea() -> None:
    silent = [
        _where(module)
        for module in PRODUCT
        if (text := module.read_text()).strip()
        and not ast.get_docstring(ast.parse(text))
        and "/versions/" not in str(module)
    ]

    assert silent == []


def test_every_public_name_in_shared_has_a_docstring() -> None:
    silent = [
        _where(module, node.name)
        for module in PRODUCT
        if module.is_relative_to(ROOT / "shared") and "/migrations/" not in module.as_posix()
        for node in _public(module)
        if not ast.get_docstring(node)
    ]

    assert silent == []


def test_no_docstring_only_repeats_the_name() -> None:
    empty = [
        _where(module, node.name)
        for module in PRODUCT
        for node in _public(module)
        if (said := ast.get_docstring(node))
        and _words(said) <= _words(re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", node.name)) | {"the", "a", "an", "of", "to"}
    ]

    assert empty == []
