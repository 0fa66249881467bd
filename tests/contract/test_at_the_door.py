"""What a request is held against when it comes in: who asks, what is trusted, and what is on its way."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event

from tests.certificates import self_signed
from tests.pipeline import ADMIN, Pipeline
from trustcast.domain.errors import Conflict, NotFound, PreconditionFailed
from trustcast.domain.operation import Kind, State
from trustcast.storage import unended, uses
from trustcast.storage.idempotency import KeyReusedError
from trustcast.storage.operations import Operation
from trustcast.storage.session import Database
from trustcast.storage.tables import api
from trustcast_api import rotate, scopes
from trustcast_api.accept_request import accept_request
from trustcast_api.list_certificates import Filters, Status, list_certificates
from trustcast_api.principal import Principal
from trustcast_api.problems import ForbiddenError, HinderedError
from trustcast_api.request import Request
from trustcast_api.settings import Unregistered

DER = self_signed("web.example").der
BILLING = Principal(
    name="token:b", tenant_id=ADMIN.tenant_id, scopes=scopes.UPDATE_CERTIFICATES, alias_prefixes=("billing-", "x")
)
ADD = Request(kind=Kind.ADD, alias="web", endpoint="https://web.example:443", certificate=DER)
ROTATE = Request(kind=Kind.ADD, alias="web.next", rotation="web", certificate=DER)
REPLACE = Request(kind=Kind.REPLACE, alias="web", certificate=DER)
DELETE = Request(kind=Kind.DELETE, alias="web")
EVERYTHING = [ADD, REPLACE, DELETE, ROTATE, rotate.finish("web"), rotate.cancel("web")]
NAMES = ["add", "replace", "delete", "rotate", "finish", "cancel"]


def trusting(database: Database, *aliases: str) -> Pipeline:
    pipeline = Pipeline(database)
    for alias in aliases:
        pipeline.add(alias)
    pipeline.run()
    return pipeline


# What a request takes over


def test_replacement_takes_over_endpoint_and_spelling(database: Database) -> None:
    pipeline = trusting(database, "Web")

    one = pipeline.operation(pipeline.replace("wEB"))

    assert (one.kind, one.alias, one.endpoint) == (Kind.REPLACE, "Web", "https://web.example:443")


def test_replacement_of_what_is_on_its_way_takes_that_ones_endpoint(database: Database) -> None:
    pipeline = trusting(database, "web")
    pipeline.delete("web")
    pipeline.add("web", "https://elsewhere.example:8443")

    assert pipeline.operation(pipeline.replace("web")).endpoint == "https://elsewhere.example:8443"


def test_next_certificate_comes_under_the_derived_alias_for_the_same_endpoint(database: Database) -> None:
    pipeline = trusting(database, "Web")

    one = pipeline.operation(pipeline.rotate("WEB"))

    assert (one.alias, one.endpoint, one.rotation) == ("Web.next", "https://web.example:443", "web")


@pytest.mark.parametrize("request_", EVERYTHING[1:], ids=NAMES[1:])
def test_nothing_is_accepted_for_what_was_never_there(database: Database, request_: Request) -> None:
    with pytest.raises(NotFound):
        Pipeline(database).accept(request_)


@pytest.mark.parametrize("request_", EVERYTHING[1:], ids=NAMES[1:])
def test_what_another_tenant_has_is_like_what_was_never_there(database: Database, request_: Request) -> None:
    pipeline = trusting(database, "web")
    pipeline.rotate("web")
    pipeline.run()
    stranger = pipeline.tenant(7)

    with pytest.raises(NotFound) as theirs:
        pipeline.accept(request_, who=stranger)
    with pytest.raises(NotFound) as never:
        Pipeline(database).accept(replace(request_, alias="never", rotation=request_.rotation and "never"))

    assert (theirs.value.code, theirs.value.detail) == (never.value.code, never.value.detail)


def test_what_another_tenant_has_on_its_way_is_like_what_was_never_there(database: Database) -> None:
    pipeline = trusting(database, "web")
    stranger = pipeline.tenant(7)
    pipeline.rotate("web")
    pipeline.add("new")

    for request in (*EVERYTHING[1:], replace(REPLACE, alias="new"), replace(DELETE, alias="new")):
        with pytest.raises(NotFound):
            pipeline.accept(request, who=stranger)
    for tenant_id, found in ((ADMIN.tenant_id, ["new", "web.next"]), (stranger.tenant_id, [])):
        filters = Filters(status=Status.PENDING)
        pending, _ = list_certificates(database, tenant_id, filters, limit=9, offset=0, at=pipeline.at)
        assert [one.alias for one in pending] == found


def test_delete_does_not_wait_for_what_another_tenant_has_on_its_way(database: Database) -> None:
    pipeline = trusting(database, "web")
    pipeline.api("shop", production="https://web.example/v1")
    pipeline.add("web", who=pipeline.tenant(7))

    with pytest.raises(HinderedError):
        pipeline.delete("web")


# If-Match


@pytest.mark.parametrize("request_", [REPLACE, DELETE], ids=["replace", "delete"])
def test_request_for_another_certificate_than_the_trusted_one_is_refused(database: Database, request_: Request) -> None:
    pipeline = trusting(database, "web")

    with pytest.raises(PreconditionFailed):
        pipeline.accept(replace(request_, if_match="0" * 64))


@pytest.mark.parametrize("request_", [REPLACE, DELETE], ids=["replace", "delete"])
def test_request_for_what_is_on_its_way_is_accepted_and_decided_in_its_turn(
    database: Database, request_: Request
) -> None:
    pipeline = trusting(database, "web")
    coming = self_signed("web.example")
    pipeline.replace("web", coming)

    right, wrong = (
        pipeline.accept(replace(request_, if_match=sha256)) for sha256 in (coming.fingerprint_sha256, "0" * 64)
    )
    pipeline.run()

    assert pipeline.operation(right).state is State.APPLIED
    assert pipeline.operation(wrong).state is State.REJECTED


# Use


def test_certificate_that_apis_need_is_not_deleted_and_they_are_named(database: Database) -> None:
    pipeline = trusting(database, "web")
    identity = pipeline.api("shop", production="https://web.example/v1")

    with pytest.raises(HinderedError) as refusal:
        pipeline.delete("web")

    (user,) = refusal.value.members["users"]
    assert refusal.value.code == "certificate_in_use"
    assert user == {
        "id": identity,
        "name": "shop",
        "version": "1.0",
        "context": "/shop",
        "provider": "admin",
        "endpoint": "https://web.example:443",
        "role": "production",
    }


def test_certificate_that_apis_need_is_deleted_by_force(database: Database) -> None:
    pipeline = trusting(database, "web")
    pipeline.api("shop", production="https://web.example/v1")

    pipeline.delete("web", force=True)
    pipeline.run()

    assert pipeline.trusted() == set()


def sharing_a_wildcard(database: Database) -> Pipeline:
    """API A is at the wildcard's endpoint, API B needs its name."""
    pipeline = Pipeline(database)
    pipeline.add("wild", "https://a.x.example", self_signed("*.x.example"))
    pipeline.run()
    pipeline.api("A", production="https://a.x.example")
    pipeline.api("B", production="https://b.x.example")
    return pipeline


def test_replacement_that_does_not_serve_every_api_is_refused_and_those_it_does_not_are_named(
    database: Database,
) -> None:
    pipeline = sharing_a_wildcard(database)

    with pytest.raises(HinderedError) as refusal:
        pipeline.replace("wild", self_signed("a.x.example"))

    assert refusal.value.code == "certificate_in_use"
    assert [user["name"] for user in refusal.value.members["users"]] == ["B"]


def test_end_of_a_rotation_to_what_does_not_serve_every_api_is_refused_and_it_goes_on(database: Database) -> None:
    pipeline = sharing_a_wildcard(database)
    pipeline.rotate("wild", self_signed("a.x.example"))
    pipeline.run()

    with pytest.raises(HinderedError) as refusal:
        pipeline.finish("wild")
    called_off = pipeline.cancel("wild")
    pipeline.run()

    assert refusal.value.code == "certificate_in_use"
    assert [user["name"] for user in refusal.value.members["users"]] == ["B"]
    assert pipeline.operation(called_off).state is State.APPLIED
    assert pipeline.trusted() == {"wild"}


def test_replacement_is_accepted_while_what_may_cover_the_apis_is_on_its_way(database: Database) -> None:
    pipeline = sharing_a_wildcard(database)
    pipeline.add("b", "https://b.x.example", self_signed("b.x.example"))

    identity = pipeline.replace("wild", self_signed("a.x.example"))
    pipeline.run()

    assert pipeline.operation(identity).state is State.APPLIED


def test_certificate_that_went_while_its_users_were_looked_up_is_needed_no_more(postgres_url: str) -> None:
    database = Database(postgres_url)
    pipeline, another = sharing_a_wildcard(database), Pipeline(database)
    another.key, another.at = pipeline.key, pipeline.at

    def go(*_: object) -> None:
        another.delete("wild", force=True)
        another.run()

    with database.writing() as transaction:
        event.listen(transaction, "after_cursor_execute", go, once=True)
        ending = uses.uncovered(transaction, ADMIN.tenant_id, "wild")

    assert ending == []
    database.close()


def test_delete_is_accepted_while_what_may_cover_the_apis_is_on_its_way(database: Database) -> None:
    pipeline = trusting(database, "web")
    pipeline.api("shop", production="https://web.example/v1")
    pipeline.add("any", "https://elsewhere.example", self_signed("any", sans=["elsewhere.example", "web.example"]))

    identity = pipeline.delete("web")
    pipeline.run()

    assert pipeline.operation(identity).state is State.APPLIED


def test_use_by_another_tenant_hinders_nobody(database: Database) -> None:
    pipeline = trusting(database, "web")
    pipeline.api("shop", who=pipeline.tenant(7), production="https://web.example/v1")

    assert pipeline.operation(pipeline.delete("web")).state is State.RECEIVED


# Endpoints


def asked_for(pipeline: Pipeline, unregistered: Unregistered = Unregistered.ALLOW) -> Operation:
    return accept_request(
        pipeline.database, ADD, who=ADMIN, idempotency_key=None, at=pipeline.at, unregistered=unregistered
    )


def call_it(pipeline: Pipeline, kind: str, url: str = "https://web.example/v1") -> None:
    identity = pipeline.api(kind.lower(), production=url)
    with pipeline.database.writing() as transaction:
        transaction.execute(api.update().where(api.c.id == identity).values(type=kind))
        transaction.commit()


def test_endpoint_that_only_apis_of_other_types_call_takes_no_certificate(database: Database) -> None:
    pipeline = Pipeline(database)
    call_it(pipeline, "WS")

    with pytest.raises(Conflict, match=r"ws 1\.0, is of type WS") as refusal:
        asked_for(pipeline)

    assert (refusal.value.code, refusal.value.field) == ("endpoint_type_unsupported", "endpoint")


def test_endpoint_that_an_api_of_a_supported_type_calls_too_takes_one(database: Database) -> None:
    pipeline = Pipeline(database)
    call_it(pipeline, "WS")
    call_it(pipeline, "HTTP/SOAP")

    assert asked_for(pipeline, Unregistered.REFUSE).state is State.RECEIVED


def test_endpoint_of_no_api_is_refused_where_the_setting_says_so(database: Database) -> None:
    pipeline = Pipeline(database)
    call_it(pipeline, "HTTP/REST", "https://web.example:8443")

    asked_for(pipeline)
    with pytest.raises(Conflict) as refusal:
        asked_for(pipeline, Unregistered.REFUSE)

    assert (refusal.value.code, refusal.value.field) == ("endpoint_not_registered", "endpoint")


# Who asks


@pytest.mark.parametrize("request_", EVERYTHING, ids=NAMES)
def test_token_changes_no_alias_beyond_its_prefixes(database: Database, request_: Request) -> None:
    """Whether there is something under the alias or not: it is told neither."""
    for pipeline in (Pipeline(database), trusting(database, "web")):
        with pytest.raises(ForbiddenError) as refusal:
            pipeline.accept(request_, who=BILLING)

        assert refusal.value.code == "alias_not_allowed"


def test_token_goes_through_the_whole_life_of_an_alias_within_its_prefixes(database: Database) -> None:
    pipeline = Pipeline(database)
    life = [
        replace(ADD, alias="Billing-1"),
        replace(REPLACE, alias="BILLING-1", certificate=self_signed("web.example").der),
        replace(ROTATE, alias="billing-1.next", rotation="billing-1", certificate=self_signed("web.example").der),
        rotate.finish("Billing-1"),
        replace(ROTATE, alias="billing-1.next", rotation="billing-1", certificate=self_signed("web.example").der),
        rotate.cancel("Billing-1"),
        replace(DELETE, alias="billing-1"),
    ]

    ended = []
    for one in life:
        identity = pipeline.accept(one, who=BILLING)
        pipeline.run()
        ended.append(pipeline.operation(identity).state)

    assert ended == [State.APPLIED] * len(life)


def test_rotation_counts_by_the_alias_that_is_rotated(database: Database) -> None:
    """A prefix that only the derived alias has does not open the certificate that it is to replace."""
    pipeline = trusting(database, "web")
    odd = replace(BILLING, alias_prefixes=("web.",))

    for request in (ROTATE, rotate.finish("web"), rotate.cancel("web")):
        with pytest.raises(ForbiddenError):
            pipeline.accept(request, who=odd)


def test_only_an_administrator_has_expired_certificates_trusted(database: Database) -> None:
    pipeline = Pipeline(database)
    old = self_signed("web.example", not_before=datetime.now(UTC) - timedelta(days=9), days=3)
    request = replace(ADD, certificate=old.der, accept_expired=True)

    with pytest.raises(ForbiddenError) as refusal:
        pipeline.accept(request, who=replace(BILLING, alias_prefixes=None))
    identity = pipeline.accept(request)
    pipeline.run()

    assert refusal.value.code == "accept_expired_not_allowed"
    assert pipeline.operation(identity).state is State.APPLIED


# Idempotency-Key


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", Kind.REPLACE),
        ("alias", "web2"),
        ("endpoint", "https://web.example:8443"),
        ("certificate", self_signed("web.example").der),
        ("ca", True),
        ("accept_expired", True),
        ("force", True),
        ("if_match", "0" * 64),
        ("rotation", "other"),
    ],
)
def test_request_that_differs_in_anything_is_another_one(database: Database, field: str, value: object) -> None:
    pipeline = Pipeline(database)
    pipeline.accept(ADD, key="k-1")

    with pytest.raises(KeyReusedError):
        pipeline.accept(replace(ADD, **{field: value}), key="k-1")  # type: ignore[arg-type]


def test_request_sent_again_after_it_took_effect_is_still_the_same_one(database: Database) -> None:
    """By then what it was made for is gone: it must be recognised before it is judged."""
    pipeline = trusting(database, "web")
    pipeline.rotate("web")
    pipeline.run()

    def twice(request: Request, key: str) -> set[str]:
        first = pipeline.accept(request, key=key)
        pipeline.run()
        return {first, pipeline.accept(request, key=key)}

    assert len(twice(rotate.finish("web"), "k-1")) == 1
    assert len(twice(DELETE, "k-2")) == 1


# Rotation


def rotating(database: Database) -> Pipeline:
    pipeline = Pipeline(database)
    pipeline.enrol("g1", "g2")
    pipeline.add("web")
    pipeline.run()
    pipeline.rotate("web")
    pipeline.run()
    return pipeline


def test_rotation_ends_only_when_every_gateway_has_the_next_certificate(database: Database) -> None:
    pipeline = rotating(database)
    pipeline.report("g2", 2)

    with pytest.raises(HinderedError) as refusal:
        pipeline.finish("web")
    pipeline.report("g1", 2)
    identity = pipeline.finish("web")

    assert refusal.value.code == "rotation_not_converged"
    assert refusal.value.members["gateways"] == [{"name": "g1", "environment": "default"}]
    assert "g1" in refusal.value.detail
    assert pipeline.operation(identity).kind is Kind.REPLACE


def test_gateway_that_came_later_is_waited_for_too(database: Database) -> None:
    pipeline = rotating(database)
    pipeline.enrol("g1", "g2", "g3")
    for name in ("g1", "g2"):
        pipeline.report(name, 2)

    with pytest.raises(HinderedError, match="g3"):
        pipeline.finish("web")


def test_rotation_whose_begin_is_on_its_way_has_not_converged(database: Database) -> None:
    pipeline = trusting(database, "web")
    pipeline.rotate("web")

    with pytest.raises(Conflict) as refusal:
        pipeline.finish("web")

    assert refusal.value.code == "rotation_not_converged"


def test_rotation_whose_begin_is_on_its_way_can_be_called_off(database: Database) -> None:
    pipeline = trusting(database, "web")
    pipeline.rotate("web")

    pipeline.cancel("web")
    pipeline.run()

    assert pipeline.trusted() == {"web"}


def test_certificate_that_only_looks_like_a_next_one_is_none(database: Database) -> None:
    pipeline = Pipeline(database, per_endpoint=None)
    pipeline.add("web")
    pipeline.add("web.next")
    pipeline.run()

    for end in (pipeline.finish, pipeline.cancel):
        with pytest.raises(NotFound) as refusal:
            end("web")
        assert refusal.value.code == "rotation_not_found"


def test_next_certificate_is_judged_at_the_end_as_it_was_when_it_came(database: Database) -> None:
    pipeline = trusting(database, "web")
    authority = self_signed(None, ca=True, common_name="Example CA")
    pipeline.accept(replace(ROTATE, certificate=authority.der, ca=True))
    pipeline.run()

    identity = pipeline.finish("web")
    pipeline.run()

    assert pipeline.operation(identity).state is State.APPLIED
    assert pipeline.entries() == {"web": authority.fingerprint_sha256}


def test_end_of_a_rotation_is_on_its_way_for_both_its_aliases(database: Database) -> None:
    pipeline = trusting(database, "web")
    pipeline.rotate("web")
    pipeline.run()

    identity = pipeline.finish("web")

    with database.reading() as transaction:
        found = [
            [one.id for one in unended.pending(transaction, ADMIN.tenant_id, key, due=pipeline.at)]
            for key in ("web", "web.next")
        ]
    assert found == [[identity], [identity]]


def test_retired_gateway_is_not_waited_for(database: Database) -> None:
    pipeline = rotating(database)
    pipeline.report("g1", 2)

    pipeline.enrol("g1")

    assert pipeline.operation(pipeline.finish("web")).kind is Kind.REPLACE
