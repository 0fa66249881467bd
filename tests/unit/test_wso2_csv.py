"""An export is read as the tools of different databases write it, or the line at fault is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.wso2 import as_csv
from trustcast_cli.errors import CannotRun
from trustcast_cli.wso2 import csv_export
from trustcast_cli.wso2.rows import Row

ORDERS = Row(-1234, "Orders", "https://orders.example", b"TUlJ")
PAYMENTS = Row(3, "pay,ments", "https://payments.example")
ROWS = [(-1234, "Orders", "https://orders.example", "TUlJ"), (3, "pay,ments", "https://payments.example", "")]
HEADER = ("TENANT_ID", "ALIAS", "END_POINT", "CERTIFICATE")


def read(folder: Path, data: str | bytes) -> tuple[Row, ...]:
    path = folder / "export.csv"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return csv_export.read(path).rows


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_all_delimiters_are_read(tmp_path: Path, delimiter: str) -> None:
    assert read(tmp_path, as_csv(HEADER, ROWS, delimiter=delimiter)) == (ORDERS, PAYMENTS)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_byte_order_marks_are_no_part_of_a_name(tmp_path: Path, encoding: str) -> None:
    assert read(tmp_path, as_csv(HEADER, ROWS).encode(encoding)) == (ORDERS, PAYMENTS)


def test_columns_come_in_any_order_and_case_among_others(tmp_path: Path) -> None:
    text = "row,alias,Certificate,end_point, tenant_id \n1,Orders,TUlJ,https://orders.example,-1234\n"

    assert read(tmp_path, text) == (ORDERS,)


@pytest.mark.parametrize("null", ["", "NULL", r"\N", " "])
def test_a_null_is_no_certificate(tmp_path: Path, null: str) -> None:
    assert read(tmp_path, as_csv(HEADER, [(*ROWS[0][:3], null)]))[0].certificate is None


def test_an_export_of_2_6_has_no_certificates(tmp_path: Path) -> None:
    assert read(tmp_path, as_csv(HEADER[:3], [ROWS[1][:3]])) == (PAYMENTS,)


def test_a_table_without_rows_and_lines_without_anything_are_no_fault(tmp_path: Path) -> None:
    assert read(tmp_path, "TENANT_ID,ALIAS,END_POINT\n\n\n") == ()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("", "has no column TENANT_ID, ALIAS, END_POINT; it has none"),
        ("TENANT_ID,ALIAS\n1,a\n", "has no column END_POINT; it has ALIAS, TENANT_ID"),
        ("TENANT_ID,ALIAS,END_POINT\none,a,https://a.example\n", "line 2: TENANT_ID is not a number"),
        ("TENANT_ID,ALIAS,END_POINT\n1,a,https://a.example\n1,a\n", "line 3: 2 fields where the header has 3"),
        ('TENANT_ID,ALIAS,END_POINT\n1,"a,https://a.example\n', "line 2: unexpected end of data"),
        ("TENANT_ID,ALIAS,ALIAS_KEY,END_POINT\n1,A,a,https://a.example\n", "Trustcast's own table"),
        ("TENANT_ID,ALIAS,END_POINT\n1,é,https://a.example\n".encode("latin-1"), "not text in UTF-8"),
    ],
)
def test_what_is_wrong_is_one_sentence(tmp_path: Path, data: str | bytes, said: str) -> None:
    with pytest.raises(CannotRun) as caught:
        read(tmp_path, data)

    assert said in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CannotRun, match=r"nowhere\.csv cannot be read: No such file"):
        csv_export.read(tmp_path / "nowhere.csv")
