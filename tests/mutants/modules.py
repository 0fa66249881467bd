"""Which tests are about which module of `domain/`, and which mutants are none."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

DOMAIN = Path("shared/trustcast/domain")

_VALUES = "tests/unit/test_domain_values.py"
# A mutant that they let live survives, though tests of other modules may notice it.
TESTS = {
    "alias": ["test_alias.py"],
    "certificate": ["test_certificate.py", "test_policy.py"],
    "certificate_file": ["test_outline.py", "test_certificate_file.py", "test_pkcs7.py", "test_hidden_keys.py"],
    "chain": ["test_chain.py", "test_costly_keys.py"],
    "der": ["test_der.py"],
    "endpoint": ["test_endpoint.py"],
    "environment": [],
    "errors": ["test_errors.py"],
    "head": ["test_head.py"],
    "messages": ["test_messages.py"],
    "operation": ["test_operation.py"],
    "pem": ["test_pem.py"],
    "pkcs7": ["test_pkcs7.py"],
    "policy": ["test_policy.py"],
    "policy_case": ["test_policy_rules.py", "test_policy.py"],
    "policy_rules": ["test_policy.py"],
    "private_key": ["test_shapes_of_keys.py", "test_hidden_keys.py", "test_pem.py"],
    "published_api": ["test_published_api.py"],
    "register": ["test_register.py"],
    "rules_about_dates": ["test_policy_rules.py", "test_policy.py"],
    "rules_about_keys": ["test_policy_rules.py", "test_policy.py"],
    "rules_about_purpose": ["test_policy_rules.py", "test_policy.py"],
    "signatures": ["test_signatures.py", "test_chain.py"],
    "truststore": ["test_truststore.py"],
}


def tests_of(module: str) -> list[str]:
    """The files that pytest runs against each mutant of the module."""
    return [_VALUES, *(f"tests/unit/{name}" for name in TESTS[module])]


def sources() -> dict[str, Path]:
    """Every module of the domain that has code, by its name."""
    return {path.stem: path for path in sorted(DOMAIN.glob("*.py")) if path.read_text().strip()}


class LeftOut:
    """The places of a source where every mutant is the same program to whoever runs it.

    Annotations: under `from __future__ import annotations` nobody evaluates them; nor does it matter whether what only
    they name is imported (`if TYPE_CHECKING`). The `*` behind which arguments have to be named: it forbids calls that
    nobody makes, and mypy looks at those that are made.
    """

    def __init__(self, source: str) -> None:
        self._lines = source.splitlines()
        self._annotations = [
            ((one.lineno, one.col_offset), (one.end_lineno or 0, one.end_col_offset or 0))
            for one in _annotations(ast.parse(source))
        ]

    def has(self, operator: str, start: tuple[int, int]) -> bool:
        """Tell whether what the operator makes at this line and column is left out."""
        line, column = start
        text = self._lines[line - 1]
        is_star = "BinaryOperator_Mul_" in operator and text.startswith("*,", column)
        return is_star or text == "if TYPE_CHECKING:" or any(begin <= start < end for begin, end in self._annotations)


def _annotations(tree: ast.Module) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns:
            yield node.returns
        if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation:
            yield node.annotation
