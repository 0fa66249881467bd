"""docs/mutants.md and `make mutants` know every module of the domain."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.mutants.modules import TESTS, LeftOut

ROOT = Path(__file__).parents[2]
SOURCE = """
if TYPE_CHECKING:
    import datetime
def power(base: int | None, *, of: int | None = 2 | 4) -> int | None:
    return base * of
"""
MODULES = {path.stem for path in (ROOT / "shared/trustcast/domain").glob("*.py")} - {"__init__"}


def test_every_module_has_a_row_on_the_page() -> None:
    page = (ROOT / "docs/mutants.md").read_text()

    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == MODULES


def test_every_module_has_its_tests() -> None:
    files = {ROOT / "tests/unit" / name for names in TESTS.values() for name in names}

    assert TESTS.keys() == MODULES
    assert [file.name for file in files if not file.is_file()] == []


@pytest.mark.parametrize(
    ("operator", "line", "text", "left_out"),
    [
        ("AddNot", 2, "TYPE_CHECKING", True),
        ("ReplaceBinaryOperator_BitOr_Add", 4, "| None,", True),
        ("ReplaceBinaryOperator_BitOr_Add", 4, "| None =", True),
        ("ReplaceBinaryOperator_BitOr_Add", 4, "| 4", False),
        ("ReplaceBinaryOperator_BitOr_Add", 4, "| None:", True),
        ("ReplaceBinaryOperator_Mul_Div", 4, "*,", True),
        ("ReplaceBinaryOperator_Mul_Div", 5, "* of", False),
    ],
)
def test_only_what_nobody_evaluates_is_left_out(operator: str, line: int, text: str, *, left_out: bool) -> None:
    column = SOURCE.splitlines()[line - 1].index(text)

    assert LeftOut(SOURCE).has(operator, (line, column)) is left_out
