"""The table as a CSV export: header line in any case and order; comma, semicolon or tab; UTF-8 or UTF-16."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from trustcast_cli.errors import CannotRun
from trustcast_cli.wso2 import rows
from trustcast_cli.wso2.rows import Installation, Row

DELIMITERS = ",;\t"
NULLS = frozenset({"", "NULL", "null", r"\N"})
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def read(path: Path) -> Installation:
    """Return the rows of an export. Raises `CannotRun` for a file that is none, with the line at fault."""
    lines = _lines(path)
    header = next(lines, (1, []))[1]
    columns = {name: header.index(theirs) for name, theirs in rows.columns_by_name(header, str(path)).items()}
    return Installation(tuple(_row(path, number, cells, columns, len(header)) for number, cells in lines if cells))


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    text = _text(path)
    header = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(DELIMITERS, key=header.count), strict=True)
    try:
        for cells in reader:
            yield reader.line_num, cells
    except csv.Error as error:
        raise CannotRun(f"{path}, line {reader.line_num}: {error}.") from None


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
        return data.decode("utf-16" if data.startswith(_UTF_16) else "utf-8-sig")
    except OSError as error:
        raise CannotRun(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise CannotRun(f"{path} is not text in UTF-8 or UTF-16; export it as UTF-8.") from None


def _row(path: Path, number: int, cells: list[str], columns: dict[str, int], width: int) -> Row:
    if len(cells) != width:
        raise CannotRun(f"{path}, line {number}: {len(cells)} fields where the header has {width}.")
    of = {name: cells[index] for name, index in columns.items()}
    try:
        tenant_id = int(of["TENANT_ID"])
    except ValueError:
        raise CannotRun(f"{path}, line {number}: TENANT_ID is not a number.") from None
    stored = of.get(rows.CERTIFICATE, "")
    certificate = None if stored.strip() in NULLS else stored.encode()
    return Row(tenant_id, of["ALIAS"], of["END_POINT"].strip(), certificate)
