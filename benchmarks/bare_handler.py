"""What uploads are compared with: a FastAPI handler that does one insert, as anybody would write it.

Run as `python -m benchmarks.bare_handler DATABASE_URL PORT`. It takes the same form and is as durable: it has our way
to the database (journal, sync, pool, and one writer at a time on SQLite), so that what is measured is what we add.
"""

from __future__ import annotations

import sys
import uuid
from typing import Annotated

import uvicorn
from fastapi import FastAPI, Form, UploadFile
from sqlalchemy import Column, LargeBinary, MetaData, String, Table, insert

from trustcast.storage.session import Database

PATH = "/certificates"
UPLOADS = Table(
    "upload",
    MetaData(),
    Column("id", String(36), primary_key=True),
    Column("alias", String(255), nullable=False),
    Column("endpoint", String(300), nullable=False),
    Column("certificate", LargeBinary, nullable=False),
)


def create_app(database: Database) -> FastAPI:
    """Return the application; its table is made."""
    app = FastAPI()
    with database.writing() as transaction:
        UPLOADS.metadata.create_all(transaction)
        transaction.commit()

    @app.post(PATH, status_code=202)
    def upload(
        alias: Annotated[str, Form()], endpoint: Annotated[str, Form()], certificate: UploadFile
    ) -> dict[str, str]:
        own, data = str(uuid.uuid4()), certificate.file.read()
        with database.writing() as transaction:
            transaction.execute(insert(UPLOADS).values(id=own, alias=alias, endpoint=endpoint, certificate=data))
            transaction.commit()
        return {"id": own}

    return app


if __name__ == "__main__":
    _, url, port = sys.argv
    uvicorn.run(
        create_app(Database(url)), port=int(port), http="httptools", loop="uvloop", log_config=None, access_log=False
    )
