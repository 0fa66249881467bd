"""Which scopes open which of WSO2's routes, as their documents say; and that a tenant is alone there, too."""

from __future__ import annotations

import hashlib
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from tests import published
from tests.certificates import self_signed
from tests.publisher import NEWER, VERSIONS, Face, assert_error, some_alias

SCOPES = {
    f"apim:{name}"
    for name in (
        "api_view",
        "api_create",
        "api_manage",
        "ep_certificates_view",
        "ep_certificates_add",
        "ep_certificates_update",
        "ep_certificates_manage",
    )
}
READS = {"apim:api_view", "apim:api_manage", "apim:ep_certificates_view", "apim:ep_certificates_manage"}
ADDS = {"apim:api_create", "apim:api_manage", "apim:ep_certificates_add", "apim:ep_certificates_manage"}
UPDATES = {"apim:api_create", "apim:api_manage", "apim:ep_certificates_update", "apim:ep_certificates_manage"}
OPEN_TO = [
    ("GET", "", READS),
    ("GET", "/nobody", READS),
    ("GET", "/nobody/content", READS),
    ("POST", "", ADDS),
    ("PUT", "/nobody", UPDATES),
    ("DELETE", "/nobody", UPDATES),
]
USAGE = [("GET", "/nobody/usage", READS)]


def made_token(face: Face, *scopes: str, **others: object) -> str:
    """Make a token and return its text."""
    text = uuid.uuid4().hex
    body = {
        "name": "test",
        "scopes": scopes,
        "expires_at": (datetime.now(UTC) + timedelta(hours=1)).isoformat(),
        "token_sha256": hashlib.sha256(text.encode()).hexdigest(),
    }
    answer = face.api.ask("POST", "/v1/tokens", json=body | others)
    assert answer.status_code == 201, answer.text
    return text


@pytest.mark.parametrize("scope", sorted(SCOPES))
def test_scope_opens_what_it_opens_there(newest_face: Face, scope: str) -> None:
    token = made_token(newest_face, scope)
    expected = {(method, path): scope in opening for method, path, opening in [*OPEN_TO, *USAGE]}

    for version in NEWER:
        face = Face(newest_face.api, version)
        opened = {(method, path): face.ask(method, path, as_=token).status_code != 403 for method, path in expected}
        assert opened == expected


@pytest.mark.parametrize("scope", sorted(SCOPES))
def test_version_2_6_knows_one_scope(newest_face: Face, scope: str) -> None:
    token, face = made_token(newest_face, scope), Face(newest_face.api, VERSIONS[-1])

    opened = {face.ask(method, path, as_=token).status_code != 403 for method, path, _ in OPEN_TO}

    assert opened == {scope == "apim:api_create"}


def test_tenant_sees_and_changes_its_own_only(newest_face: Face) -> None:
    id_ = uuid.uuid4().int % 10**9 + 1
    published.tenant(newest_face.api.database, id_)
    theirs = made_token(newest_face, "apim:api_create", "apim:ep_certificates_manage", tenant=f"tenant-{id_}.example")
    alias = some_alias()
    ours, made = self_signed(), self_signed()
    newest_face.upload(alias, ours, "https://ours.example")

    uploaded = newest_face.upload(alias, made, "https://theirs.example", as_=theirs)

    assert uploaded.status_code == 201
    assert newest_face.ask("GET", f"/{alias}/content").content == ours.der
    assert newest_face.ask("GET", f"/{alias}/content", as_=theirs).content == made.der
    assert newest_face.ask("GET", as_=theirs).json()["certificates"] == [
        {"alias": alias, "endpoint": "https://theirs.example:443"}
    ]
    assert newest_face.ask("DELETE", f"/{alias}", as_=theirs).status_code == 200
    assert newest_face.ask("GET", f"/{alias}").status_code == 200


def test_token_for_some_aliases_changes_no_others(newest_face: Face) -> None:
    token = made_token(newest_face, "apim:api_manage", alias_prefixes=["web-"])

    allowed = newest_face.upload(some_alias(), self_signed(), "https://web.example", as_=token)
    refused = newest_face.upload("other", self_signed(), "https://web.example", as_=token)

    assert allowed.status_code == 201
    assert_error(refused, 403, "Forbidden")
