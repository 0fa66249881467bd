"""`trustcast db`: the database's schema."""

from __future__ import annotations

import typer

from trustcast_cli.errors import CannotRun

app = typer.Typer(
    no_args_is_help=True, help="The schema of the database at TRUSTCAST_DATABASE_URL (or …_FILE, a file with the URL)."
)


@app.command()
def upgrade() -> None:
    """Bring the schema to this version."""
    from trustcast.storage import migrate  # noqa: PLC0415
    from trustcast_cli import database  # noqa: PLC0415

    with database.opened(made_already=False) as opened:
        print(f"The database is at revision {migrate.upgrade(opened)}.")


@app.command()
def check() -> None:
    """Say which tables, columns and first rows are missing; status 1 if any is, or if the revision is another."""
    from trustcast.storage import migrate  # noqa: PLC0415
    from trustcast_cli import database  # noqa: PLC0415

    with database.opened() as opened:
        missing = migrate.missing(opened)
        for one in missing:
            print(f"missing: {one}")
        migrate.check(opened)
    if missing:
        raise CannotRun("The database says that it is at this version's revision, but this was taken out of it.")
    print("Every table and column is there, and so are the first rows.")
