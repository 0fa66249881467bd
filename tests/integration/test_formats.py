"""Uploads hold what people have: chains, DER, PKCS #7, key stores; made by openssl and keytool where that matters."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, pkcs7, pkcs12

from tests.certificates import Made, authority, issued, self_signed
from tests.integration.test_api_doors import assert_problem
from tests.integration.test_certificate_life import token_of
from tests.interop.keytool import keytool
from tests.publisher import working
from tests.served_api import ServedApi, token
from tests.tools import missing

ROOT = authority("Example Root")
MIDDLE = authority("Example Intermediate", issuer=ROOT)
PASSWORD = "a password"


def some_host() -> str:
    return f"web-{uuid.uuid4().hex[:12]}.example"


def leaf(host: str) -> Made:
    return issued(MIDDLE, host)


def upload(api: ServedApi, alias: str, certificate: bytes, name: str = "c.crt", **fields: str) -> httpx.Response:
    data = {"alias": alias, "endpoint": f"https://{alias}", **fields}
    return api.ask("POST", "/v1/certificates", data=data, files={"certificate": (name, certificate)})


def upload_store(
    api: ServedApi, store: bytes, name: str = "store", *, headers: Mapping[str, str] | None = None, **fields: str
) -> httpx.Response:
    files = {"certificate": (name, store)}
    return api.ask("POST", "/v1/certificates", data=fields, files=files, headers=headers)


def trusted(api: ServedApi, alias: str) -> dict[str, Any]:
    api.work()
    answer = api.ask("GET", f"/v1/certificates/{alias}")
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def fingerprints(links: list[dict[str, Any]]) -> list[str]:
    return [one["fingerprint_sha256"] for one in links]


def openssl(*arguments: str | Path) -> None:
    try:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)
    except FileNotFoundError:
        missing("openssl is not on PATH")


# A chain


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_leaf_of_a_chain_is_trusted_whatever_the_order_and_the_rest_is_shown(
    api: ServedApi, order: tuple[int, int, int]
) -> None:
    host = some_host()
    chain = [leaf(host), MIDDLE, ROOT]

    assert upload(api, host, b"".join(chain[each].pem for each in order)).status_code == 202

    told = trusted(api, host)
    assert told["fingerprint_sha256"] == chain[0].fingerprint_sha256
    assert fingerprints(told["chain"]) == [MIDDLE.fingerprint_sha256, ROOT.fingerprint_sha256]
    assert told["chain"][0] == {
        "fingerprint_sha256": MIDDLE.fingerprint_sha256,
        "subject": "CN=Example Intermediate",
        "issuer": "CN=Example Root",
        "not_before": MIDDLE.certificate.not_valid_before_utc.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "not_after": MIDDLE.certificate.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "is_ca": True,
    }
    assert set(api.pipeline.entries().values()).isdisjoint({MIDDLE.fingerprint_sha256, ROOT.fingerprint_sha256})


def test_with_anchor_ca_the_top_of_a_chain_is_trusted_as_a_ca(api: ServedApi) -> None:
    host, root = some_host(), authority(f"Root {uuid.uuid4()}")
    server = issued(root, host)

    answer = upload(api, host, server.pem + root.pem, anchor="ca")

    assert answer.status_code == 202, answer.text
    told = trusted(api, host)
    assert (told["fingerprint_sha256"], told["is_ca"]) == (root.fingerprint_sha256, True)
    assert fingerprints(told["chain"]) == [server.fingerprint_sha256]


def test_anchor_ca_contradicts_ca_false(api: ServedApi) -> None:
    answer = upload(api, some_host(), ROOT.pem, anchor="ca", ca="false")

    body = assert_problem(answer, 400, "field_invalid")
    assert body["errors"][0]["field"] == "ca"


def test_content_as_a_chain_is_what_was_sent_from_the_leaf_upwards(api: ServedApi) -> None:
    host = some_host()
    server = leaf(host)
    upload(api, host, ROOT.pem + server.pem + MIDDLE.pem)
    api.work()

    answer = api.ask("GET", f"/v1/certificates/{host}/content?format=chain")

    found = [one.fingerprint(hashes.SHA256()).hex() for one in x509.load_pem_x509_certificates(answer.content)]
    assert found == [one.fingerprint_sha256 for one in (server, MIDDLE, ROOT)]


def test_chain_ends_with_what_else_was_kept(api: ServedApi) -> None:
    host, root = some_host(), authority(f"Root {uuid.uuid4()}")
    server = issued(root, host)
    upload(api, host, server.pem + root.pem, anchor="ca")
    api.work()

    answer = api.ask("GET", f"/v1/certificates/{host}/content?format=chain")

    assert answer.content == root.pem + server.pem


def test_kept_chain_is_seen_while_it_is_on_its_way_and_goes_with_a_replacement(api: ServedApi) -> None:
    host = some_host()
    upload(api, host, leaf(host).pem + MIDDLE.pem)
    coming = api.ask("GET", f"/v1/certificates?status=pending&alias={host}").json()["certificates"]
    api.work()

    again = issued(ROOT, host)
    answer = api.ask("PUT", f"/v1/certificates/{host}", files={"certificate": again.pem + ROOT.pem})

    assert answer.status_code == 202, answer.text
    assert fingerprints(coming[0]["chain"]) == [MIDDLE.fingerprint_sha256]
    assert fingerprints(trusted(api, host)["chain"]) == [ROOT.fingerprint_sha256]


def test_rotation_brings_its_own_chain_and_its_end_takes_it_over(api: ServedApi) -> None:
    host = some_host()
    upload(api, host, leaf(host).pem + MIDDLE.pem)
    api.work()
    following = issued(ROOT, host)

    begun = api.ask(
        "POST", f"/v1/certificates/{host}/rotation", files={"certificate": following.pem + ROOT.pem + b"\n"}
    )
    api.work()
    rotation = api.ask("GET", f"/v1/certificates/{host}/rotation").json()
    for name in ("g1", "g2"):
        api.pipeline.report(name, api.pipeline.status().generation)
    with_elsewhere(api)
    ended = api.ask("POST", f"/v1/certificates/{host}/rotation/finish")

    assert (begun.status_code, ended.status_code) == (202, 202), ended.text
    assert fingerprints(rotation["current"]["chain"]) == [MIDDLE.fingerprint_sha256]
    assert fingerprints(rotation["following"]["chain"]) == [ROOT.fingerprint_sha256]
    told = trusted(api, host)
    assert told["fingerprint_sha256"] == following.fingerprint_sha256
    assert fingerprints(told["chain"]) == [ROOT.fingerprint_sha256]


def with_elsewhere(api: ServedApi) -> None:
    """The gateway of the other environment reports, too."""
    status = api.pipeline.status("other")
    told = {
        "environment": "other",
        "generation": status.generation,
        "entries_sha256": status.entries_sha256,
        "phase": "installed",
    }
    assert api.ask("POST", "/v1/gateways/elsewhere/reports", json=told, as_=token("elsewhere")).status_code < 300


def test_certificates_of_two_chains_are_refused(api: ServedApi) -> None:
    answer = upload(api, some_host(), leaf("a.example").pem + self_signed("b.example").pem)

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "certificate"


# Other forms


def test_der_and_pkcs7_are_read_by_their_content_not_by_their_name(api: ServedApi, tmp_path: Path) -> None:
    forms = {}
    for form in ("DER", "PEM"):
        host = some_host()
        (tmp_path / "chain.pem").write_bytes(leaf(host).pem + MIDDLE.pem + ROOT.pem)
        out = tmp_path / f"chain.{form}"
        openssl("crl2pkcs7", "-nocrl", "-certfile", tmp_path / "chain.pem", "-outform", form, "-out", out)
        forms[host] = upload(api, host, out.read_bytes(), "misnamed.jks")
    host = some_host()
    forms[host] = upload(api, host, leaf(host).der, "misnamed.p7b")

    assert {one.status_code for one in forms.values()} == {202}, [one.text for one in forms.values()]
    assert [len(trusted(api, host)["chain"]) for host in forms] == [2, 2, 0]


def test_pkcs7_is_taken_where_a_certificate_is_replaced(api: ServedApi) -> None:
    host = some_host()
    upload(api, host, leaf(host).pem)
    api.work()
    new = leaf(host)
    bundle = pkcs7.serialize_certificates([new.certificate, MIDDLE.certificate], Encoding.DER)

    answer = api.ask("PUT", f"/v1/certificates/{host}", files={"certificate": ("c.p7b", bundle)})

    assert answer.status_code == 202, answer.text
    assert trusted(api, host)["fingerprint_sha256"] == new.fingerprint_sha256


# When, and what else a form may hold


def test_activate_at_needs_a_zone(api: ServedApi) -> None:
    for text in ("2027-01-31T06:00:00", "2027-01-31", "tomorrow", "1e9", "9999-12-31T23:59:59-23:59", ""):
        body = assert_problem(upload(api, some_host(), ROOT.pem, ca="true", activate_at=text), 400, "field_invalid")
        assert body["errors"][0]["field"] == "activate_at"


@pytest.mark.parametrize("text", ["{}Z", "{}.5z", "{}+00:00"])
def test_activate_at_is_kept_with_the_operation(api: ServedApi, text: str) -> None:
    host, at = some_host(), datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)

    identity = upload(api, host, leaf(host).pem, activate_at=text.format(at.isoformat()[:19])).json()["id"]

    kept = api.pipeline.operation(identity).activate_at
    assert kept is not None
    assert kept.replace(microsecond=0) == at


def test_password_is_for_key_stores(api: ServedApi) -> None:
    body = assert_problem(upload(api, some_host(), ROOT.pem, ca="true", password="changeit"), 400, "field_unexpected")

    assert body["errors"][0]["field"] == "password"
    assert "changeit" not in str(body)


@pytest.mark.parametrize("field", ["anchor", "activate_at", "password", "alias"])
def test_private_key_is_refused_in_every_field(api: ServedApi, field: str) -> None:
    sent = {field: self_signed().key_pem.decode()}
    whole = {"alias": "web", "endpoint": "https://web.example", **sent}
    alone = api.ask("POST", "/v1/certificates", data=whole, files={"certificate": leaf("web.example").pem})
    beside = {"ca": "true", "password": PASSWORD, **sent}
    beside_a_store = api.ask("POST", "/v1/certificates", data=beside, files={"certificate": trust_only(ROOT)})

    for answer in (alone, beside_a_store):
        assert_problem(answer, 400, "private_key")


def test_every_wrong_field_is_named_at_once(api: ServedApi) -> None:
    answer = upload(api, "-", b"zebra", anchor="top", ca="1", activate_at="now", accept_expired="1", password="x")

    body = assert_problem(answer, 400, "invalid_request")
    assert {one["field"] for one in body["errors"]} == {
        *("alias", "endpoint", "certificate", "anchor", "ca", "activate_at", "accept_expired", "password")
    }


# Key stores


def trust_only(*made: Made, names: tuple[str, ...] = (), password: str = PASSWORD) -> bytes:
    """A PKCS12 without keys."""
    named = [
        pkcs12.PKCS12Certificate(one.certificate, (names[number] if names else f"entry-{number}").encode())
        for number, one in enumerate(made)
    ]
    return pkcs12.serialize_java_truststore(named, BestAvailableEncryption(password.encode()))


def jks_of(folder: Path, *entries: tuple[str, Made]) -> bytes:
    store = folder / "store.jks"
    for alias, made in entries:
        (folder / "c.der").write_bytes(made.der)
        keytool("-importcert", "-noprompt", "-alias", alias, "-file", folder / "c.der", store=store, password=PASSWORD)
    return store.read_bytes()


@pytest.mark.parametrize("form", ["jks", "pkcs12"])
def test_entries_of_a_key_store_become_a_batch_each_under_its_alias(api: ServedApi, form: str, tmp_path: Path) -> None:
    a, b = some_host(), some_host()
    entries = [(a.partition(".")[0], leaf(a)), (b.partition(".")[0], leaf(b))]
    names = tuple(alias for alias, _ in entries)
    store = jks_of(tmp_path, *entries) if form == "jks" else trust_only(*(made for _, made in entries), names=names)

    answer = upload_store(api, store, password=PASSWORD)
    api.work()

    assert answer.status_code == 202, answer.text
    told = api.ask("GET", answer.headers["location"]).json()
    assert answer.headers["location"] == f"/v1/batches/{answer.json()['id']}"
    assert (told["lines"], told["complete"], told["states"]["applied"], told["problems"]) == (2, True, 2, [])
    for (alias, made), host in zip(entries, (a, b), strict=True):
        found = trusted(api, alias)
        assert (found["endpoint"], found["fingerprint_sha256"]) == (f"https://{host}:443", made.fingerprint_sha256)


def test_entry_that_is_refused_stops_no_other(api: ServedApi) -> None:
    host = some_host()
    good, authority_, nameless = leaf(host), authority("No Host"), issued(ROOT, "*.web.example")
    names = (host, "an alias with spaces", "wild")

    answer = upload_store(api, trust_only(good, authority_, nameless, names=names), password=PASSWORD)

    told = api.ask("GET", answer.headers["location"]).json()
    assert (told["states"]["received"], told["states"]["refused"]) == (1, 2)
    assert [(one["alias"], one["code"], one["field"]) for one in told["problems"]] == [
        (None, "alias_invalid", "alias"),
        ("wild", "endpoint_missing", "endpoint"),
    ]


def test_fields_beside_a_key_store_are_for_every_entry(api: ServedApi) -> None:
    names = tuple(f"ca-{uuid.uuid4().hex[:8]}" for _ in range(2))
    store = trust_only(authority(f"One {names[0]}"), authority(f"Two {names[1]}"), names=names)
    endpoint = f"https://{some_host()}:8443"

    answer = upload_store(api, store, password=PASSWORD, endpoint=endpoint, anchor="ca")
    api.work()

    assert api.ask("GET", answer.headers["location"]).json()["states"]["applied"] == 2
    assert {trusted(api, alias)["endpoint"] for alias in names} == {endpoint}


def test_key_store_brings_its_own_aliases(api: ServedApi) -> None:
    body = assert_problem(upload_store(api, trust_only(ROOT), alias="web", password=PASSWORD), 400, "field_unexpected")

    assert body["errors"][0]["field"] == "alias"


@pytest.mark.parametrize(("password", "code"), [(None, "password_missing"), ("wrong one", "keystore_password")])
def test_password_of_a_key_store_is_asked_for(api: ServedApi, password: str | None, code: str) -> None:
    sent = {} if password is None else {"password": password}
    answer = api.ask("POST", "/v1/certificates", data=sent, files={"certificate": trust_only(ROOT)})

    body = assert_problem(answer, 400, code)

    assert body["errors"][0]["field"] == "password"


def test_key_store_that_is_sent_again_with_its_key_is_one_batch(api: ServedApi) -> None:
    host, key = some_host(), {"Idempotency-Key": uuid.uuid4().hex}
    made = leaf(host)
    stores = [trust_only(made, names=(host,)) for _ in range(2)]  # the same entries, other bytes

    first, second = (upload_store(api, store, password=PASSWORD, headers=key) for store in stores)
    other = upload_store(api, trust_only(leaf(host), names=(host,)), password=PASSWORD, headers=key)

    assert first.json()["id"] == second.json()["id"]
    assert_problem(other, 422, "idempotency_key_reused")


def test_alias_prefixes_bound_the_entries_of_a_key_store(api: ServedApi) -> None:
    bound = token_of(api, "apim:ep_certificates_add", alias_prefixes=["web-"])
    mine, other = f"{some_host()}", f"shop-{uuid.uuid4().hex[:8]}.example"
    store = trust_only(leaf(mine), leaf(other), names=(mine, other))

    answer = api.ask("POST", "/v1/certificates", data={"password": PASSWORD}, files={"certificate": store}, as_=bound)

    told = answer.json()
    assert (told["states"]["received"], told["states"]["refused"]) == (1, 1), told
    assert told["problems"][0]["code"] == "alias_not_allowed"


@pytest.mark.parametrize("form", ["jks", "pkcs12"])
@pytest.mark.parametrize("door", ["PUT", "rotation", "publisher", "publisher PUT"])
def test_where_one_certificate_is_asked_for_a_key_store_is_told_what_to_do(
    api: ServedApi, door: str, form: str, tmp_path: Path
) -> None:
    host = some_host()
    upload(api, host, leaf(host).pem)
    api.work()
    store = trust_only(leaf(host)) if form == "pkcs12" else jks_of(tmp_path, ("a", leaf(host)))
    face = "/api/am/publisher/v4/endpoint-certificates"
    method, path, data = {
        "PUT": ("PUT", f"/v1/certificates/{host}", {}),
        "rotation": ("POST", f"/v1/certificates/{host}/rotation", {}),
        "publisher": ("POST", face, {"alias": "x", "endpoint": "https://x.example"}),
        "publisher PUT": ("PUT", f"{face}/{host}", {}),
    }[door]

    answer = api.ask(method, path, data=data, files={"certificate": store})

    assert answer.status_code == 400
    assert "POST the whole key store to /v1/certificates" in answer.text


@pytest.mark.parametrize(("method", "of"), [("PUT", ""), ("POST", "/rotation")])
def test_password_beside_such_a_key_store_is_no_other_error(api: ServedApi, method: str, of: str) -> None:
    host = some_host()
    sent: dict[str, Any] = {"data": {"password": PASSWORD}, "files": {"certificate": trust_only(leaf(host))}}

    answer = api.ask(method, f"/v1/certificates/{host}{of}", **sent)
    with_none = api.ask(method, f"/v1/certificates/{host}{of}", **sent | {"files": {"certificate": leaf(host).pem}})

    assert_problem(answer, 400, "keystore_not_single")
    assert_problem(with_none, 400, "field_unexpected")


def test_key_store_with_a_key_is_refused_at_every_door(api: ServedApi) -> None:
    made = self_signed("web.example")
    for encryption in (NoEncryption(), BestAvailableEncryption(b"changeit")):
        store = pkcs12.serialize_key_and_certificates(b"web", made.key, made.certificate, None, encryption)
        answers = [
            upload_store(api, store, password="changeit"),
            upload_store(api, store),
            api.ask("PUT", "/v1/certificates/web", files={"certificate": store}),
            api.ask("POST", "/v1/certificates/web/rotation", files={"certificate": store}),
        ]
        assert [one.json()["code"] for one in answers] == ["private_key"] * 4


def test_publisher_takes_a_chain(publishing_apis: Callable[[str], ServedApi]) -> None:
    host, path = some_host(), "/api/am/publisher/v4/endpoint-certificates"
    server = leaf(host)
    with working(publishing_apis("sqlite")) as api:
        files = {"certificate": ("chain.pem", MIDDLE.pem + server.pem)}
        answer = api.ask("POST", path, data={"alias": host, "endpoint": f"https://{host}"}, files=files)
        told = api.ask("GET", f"/v1/certificates/{host}").json()

    assert answer.status_code == 201, answer.text
    assert (told["fingerprint_sha256"], fingerprints(told["chain"])) == (
        server.fingerprint_sha256,
        [MIDDLE.fingerprint_sha256],
    )
