"""What a script says for each database: a heading, and the migrations from nothing to this version, seeds included."""

from __future__ import annotations

import io
import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

from alembic import command

from dbscripts import dialects as _  # noqa: F401 - makes `….script` known to SQLAlchemy and Alembic
from trustcast.storage import migrate

FOLDER = Path(__file__).with_name("apimgt")
_WIDTH = 100
_ASKS_BACK = re.compile(r" RETURNING [^;]*| OUTPUT inserted\.\w+")  # what Alembic wrote; a script asks nothing

_SERVES = """Trustcast runs on this database. `trustcast db upgrade` does the same, and it alone brings a database that
is in use to a newer version; this script is for whoever has to see the statements first, or may not let a program
create tables."""
_REFERENCE = """Trustcast does not run on this database: it runs on PostgreSQL and SQLite. The script is for those who
keep its tables, or copies of them, beside WSO2's: for reports, archives, or a move."""


@dataclass(frozen=True, slots=True)
class Script:
    """How one database's script is made. `dialect` is SQLAlchemy's name, `notes` what whoever runs it has to know."""

    title: str
    dialect: str
    notes: str
    transaction: bool = False
    serves: bool = False
    end: str = ""


SCRIPTS = {
    "postgresql": Script(
        "PostgreSQL 13 or newer",
        "postgresql",
        "Run it with `psql -v ON_ERROR_STOP=1 -f postgresql.sql`; all of it is one transaction.",
        transaction=True,
        serves=True,
    ),
    "sqlite": Script(
        "SQLite",
        "sqlite",
        "Run it with `sqlite3 -bail trustcast.db < sqlite.sql`; all of it is one transaction.",
        transaction=True,
        serves=True,
    ),
    "mysql": Script(
        "MySQL 8.0 or newer, MariaDB 10.6 or newer",
        "mysql+script",
        "Instants are in UTC. Names compare byte by byte, as on PostgreSQL.",
    ),
    "oracle": Script(
        "Oracle 12.2 or newer (names are longer than 30 bytes)",
        "oracle+script",
        "The description of an environment may be NULL, which is what Oracle makes of an empty one. "
        "Booleans are 0 and 1; JSON is text.",
        end="COMMIT;\n",
    ),
    "mssql": Script(
        "SQL Server 2016 or newer",
        "mssql+script",
        "Run it with `sqlcmd -I -b -i mssql.sql`. Names compare byte by byte, as on PostgreSQL. Keys that may be "
        "longer than a clustered index takes are not clustered.",
        transaction=True,
    ),
    "db2": Script(
        "Db2 (Linux, UNIX, Windows) 11.1 or newer",
        "db2+script",
        "Run it with `db2 -stvf db2.sql`. The database has to be in UTF-8 with pages of 32 KB (CREATE DATABASE ... "
        "USING CODESET UTF-8 TERRITORY US PAGESIZE 32768), or the longest keys do not fit into an index. "
        "Instants are in UTC; booleans are 0 and 1; JSON is text.",
        end="COMMIT;\n",
    ),
    "h2": Script(
        "H2 2.1 or newer",
        "h2+script",
        "Run it with `java -cp h2.jar org.h2.tools.RunScript -url jdbc:h2:... -script h2.sql`. JSON is text.",
    ),
}


def text(database: str) -> str:
    """Return the script of the database called `database` in `SCRIPTS`; the same bytes each time."""
    script = SCRIPTS[database]
    return "\n".join([_heading(script), _statements(script).strip(), script.end]).rstrip() + "\n"


def _heading(script: Script) -> str:
    about = [
        f"Trustcast: the tables, for {script.title}, in an empty schema.",
        _SERVES if script.serves else _REFERENCE,
    ]
    paragraphs = [*about, script.notes, "Made from the migrations by `make dbscripts`; not to be edited."]
    lines = [textwrap.wrap(" ".join(one.split()), _WIDTH) for one in paragraphs]
    return "".join(f"-- {line}\n" for paragraph in lines for line in paragraph)


def _statements(script: Script) -> str:
    """Alembic's own text, tidied: one empty line between statements and no white space at the end of a line."""
    written = io.StringIO()
    config = migrate.configuration()
    config.output_buffer = written
    config.attributes["script"] = {"dialect_name": script.dialect, "transactional_ddl": script.transaction}
    command.upgrade(config, "head", sql=True)
    lines = re.sub(r"[ \t]+$", "", _ASKS_BACK.sub("", written.getvalue()), flags=re.MULTILINE)
    return re.sub(r"\n{3,}", "\n\n", lines)
