"""Nothing that takes its time runs on the event loop, where every other request waits for it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

API = Path(__file__).parents[2] / "services/api/trustcast_api"
TAKES_TIME = {"read_upload", "read_replacement", "read_rotation", "refuse_private_key"}


def _called_on_the_loop(module: ast.Module) -> Iterator[str]:
    for function in ast.walk(module):
        if not isinstance(function, ast.AsyncFunctionDef):
            continue
        for call in ast.walk(function):
            if isinstance(call, ast.Call):
                yield ast.unparse(call.func).rpartition(".")[2]


def test_uploads_are_read_in_a_thread() -> None:
    wrong = {
        path.name: calls
        for path in API.rglob("*.py")
        if (calls := TAKES_TIME & set(_called_on_the_loop(ast.parse(path.read_text(encoding="utf-8")))))
    }

    assert wrong == {}
