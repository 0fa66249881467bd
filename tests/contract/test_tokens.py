"""Whose token is whose: all of it, or nobody's."""

from __future__ import annotations

import asyncio

import pytest

from tests.pipeline import Pipeline
from trustcast.storage.session import Database
from trustcast.storage.tables import SUPER_TENANT
from trustcast_api import scopes
from trustcast_api.principal import Principal
from trustcast_api.tokens import Tokens, digest

ADMIN = "the-administrator's-token"


def owner(database: Database, token: str) -> Principal | None:
    return asyncio.run(Tokens(database, digest(ADMIN)).owner(token))


def test_token_of_the_administrator_is_the_administrators(database: Database) -> None:
    assert owner(database, ADMIN) == Principal(name="admin", tenant_id=SUPER_TENANT, scopes=scopes.ADMINISTER)


@pytest.mark.parametrize("digits", [1, 2, 3])
def test_token_whose_hash_only_begins_or_ends_like_the_administrators_is_nobodys(sqlite_url: str, digits: int) -> None:
    database, wanted = Database(sqlite_url), digest(ADMIN)
    Pipeline(database).enrol("g1")
    guesses = [f"guess-{number}" for number in range(200_000)]
    alike = [
        next(one for one in guesses if digest(one)[:digits] == wanted[:digits]),
        next(one for one in guesses if digest(one)[-digits:] == wanted[-digits:]),
    ]

    assert [owner(database, one) for one in alike] == [None, None]
    database.close()
