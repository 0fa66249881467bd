"""docs/mutants.md and `make mutants` know every module of the domain."""

from __future__ import annotations

import re
from pathlib import Path

from tests.mutants.modules import TESTS

ROOT = Path(__file__).parents[2]
MODULES = {path.stem for path in (ROOT / "shared/trustcast/domain").glob("*.py")} - {"__init__"}


def test_every_module_has_a_row_on_the_page() -> None:
    page = (ROOT / "docs/mutants.md").read_text()

    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == MODULES


def test_every_module_has_its_tests() -> None:
    files = {ROOT / "tests/unit" / name for names in TESTS.values() for name in names}

    assert TESTS.keys() == MODULES
    assert [file.name for file in files if not file.is_file()] == []
