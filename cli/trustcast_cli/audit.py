"""`trustcast audit`: the chain of what was done."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from trustcast_cli import output
from trustcast_cli.errors import CannotRun

app = typer.Typer(no_args_is_help=True, help="The audit chain in the database at TRUSTCAST_DATABASE_URL (or …_FILE).")

Anchor = Annotated[str | None, typer.Option(metavar="SEQUENCE:SHA256", help="What an earlier run printed.")]


@app.command()
def verify(anchor: Anchor = None) -> None:
    """Read the whole chain: print its end, to be kept elsewhere as the next anchor, or name the first bad event.

    Whoever may write to the database can write all of the chain anew. With the anchor of an earlier run that is seen.
    """
    from trustcast.storage import audit, migrate  # noqa: PLC0415
    from trustcast_cli import database  # noqa: PLC0415

    kept = None if anchor is None else audit.Tail(*_parts(anchor))
    with database.opened() as opened:
        migrate.check(opened)
        with opened.reading() as transaction:
            tail = audit.verify(transaction, kept)
    output.note(f"The audit chain holds: {tail.sequence} {'event' if tail.sequence == 1 else 'events'}.")
    print(f"{tail.sequence}:{tail.sha256}")


def _parts(anchor: str) -> tuple[int, str]:
    found = re.fullmatch("([0-9]{1,18}):([0-9a-f]{64})", anchor.strip())
    if found is None:
        raise CannotRun("An anchor is a number, a colon and 64 hexadecimal digits, as this command prints it.")
    return int(found[1]), found[2]
