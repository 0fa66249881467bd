"""What is read of a WSO2 installation's database, wherever it was read from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from trustcast_cli.errors import CannotRun

TABLE = "AM_CERTIFICATE_METADATA"
NEEDED = ("TENANT_ID", "ALIAS", "END_POINT")
CERTIFICATE = "CERTIFICATE"  # from 4.0 on
_OURS = "ALIAS_KEY"  # Trustcast's own table has this column, WSO2's has not


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table; `certificate` as it is stored, None where there is none (2.6 and 3.x keep none)."""

    tenant_id: int
    alias: str
    endpoint: str
    certificate: bytes | None = None


@dataclass(frozen=True, slots=True)
class Installation:
    """All rows, and the tenants' domains as far as they are known there: id -> domain."""

    rows: tuple[Row, ...]
    domains: Mapping[int, str] = field(default_factory=dict)


def columns_by_name(names: Iterable[str], where: str) -> dict[str, str]:
    """Return our spelling -> theirs for each column that is of use. Raises `CannotRun` if a needed one is missing."""
    theirs = {name.strip().upper(): name for name in names}
    if missing := [name for name in NEEDED if name not in theirs]:
        raise CannotRun(f"{where} has no column {', '.join(missing)}; it has {', '.join(sorted(theirs)) or 'none'}.")
    if _OURS in theirs:
        raise CannotRun(f"{where} is Trustcast's own table, not one of WSO2 API Manager.")
    return {name: theirs[name] for name in (*NEEDED, CERTIFICATE) if name in theirs}
