"""What the domain hands around are values: nobody changes one that another holds."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import is_dataclass

import pytest

from trustcast import domain

NAMES = [found.name for found in pkgutil.iter_modules(domain.__path__)]


def _values(name: str) -> list[type]:
    module = importlib.import_module(f"trustcast.domain.{name}")
    return [one for one in vars(module).values() if isinstance(one, type) and is_dataclass(one)]


def test_values_are_found_in_every_file() -> None:
    """Or the test below would agree about nothing."""
    found = {one.__name__ for name in NAMES for one in _values(name)}

    assert {"Certificate", "Head", "Policy", "Chosen", "ChangeSet", "TruststoreChanged"} <= found


@pytest.mark.parametrize("name", NAMES)
def test_a_value_is_frozen_and_takes_no_further_attribute(name: str) -> None:
    loose = [
        one.__name__
        for one in _values(name)
        if not one.__dataclass_params__.frozen or "__slots__" not in vars(one)  # type: ignore[attr-defined]
    ]

    assert loose == []
