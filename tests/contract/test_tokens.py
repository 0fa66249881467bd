"""Whose token is whose: all of it, or nobody's."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog
from sqlalchemy import event, select

from tests.openid_provider import AUDIENCE, ISSUER, Signer, jwks
from tests.pipeline import ADMIN as ADMINISTRATOR
from tests.pipeline import Pipeline
from trustcast.domain.errors import Conflict, NotFound, RejectedMany
from trustcast.storage import audit, tenants, tokens
from trustcast.storage.session import Database
from trustcast.storage.tables import SUPER_TENANT, audit_event, gateway, token
from trustcast.storage.tenants import OnExpiry, Tenant
from trustcast.storage.tokens import Token
from trustcast_api import scopes, signing_keys
from trustcast_api.create_token import NewToken, create_token
from trustcast_api.oidc import OpenIdProvider
from trustcast_api.principal import Principal
from trustcast_api.revoke_token import revoke_token
from trustcast_api.signing_keys import SigningKeys
from trustcast_api.tokens import Tokens, digest

ADMIN = "the-administrator's-token"
AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
ABC = Tenant(7, "abc.example", OnExpiry.KEEP)
VIEW = "apim:ep_certificates_view"


def owner(database: Database, token: str) -> Principal | None:
    return asyncio.run(Tokens(database, digest(ADMIN)).owner(token))


def add_tenant(database: Database, new: Tenant = ABC) -> None:
    with database.writing() as transaction:
        tenants.add(transaction, new)
        transaction.commit()


def asked(text: str = "tc_secret", **changed: Any) -> NewToken:
    values = {
        "name": "ci",
        "tenant": "carbon.super",
        "scopes": frozenset({VIEW}),
        "alias_prefixes": None,
        "expires_at": AT + timedelta(days=30),
        "token_sha256": digest(text),
    }
    return NewToken(**values | changed)


def create(database: Database, wanted: NewToken, *, at: datetime = AT) -> Token:
    with database.writing() as transaction:
        made, _domain = create_token(transaction, wanted, who=ADMINISTRATOR, at=at)
        transaction.commit()
    return made


def revoke(database: Database, id: str, *, at: datetime = AT) -> None:  # noqa: A002 - the field's name
    with database.writing() as transaction:
        revoke_token(transaction, id, who=ADMINISTRATOR, at=at)
        transaction.commit()


def known_at(database: Database, at: datetime, provider: OpenIdProvider | None = None) -> Tokens:
    return Tokens(database, digest(ADMIN), provider, now=lambda: at)


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


def test_token_that_was_made_is_its_tenants_with_its_scopes(database: Database) -> None:
    add_tenant(database)
    made = create(database, asked(tenant="ABC.example", alias_prefixes=("team-a-", "web")))

    found = asyncio.run(known_at(database, AT).owner("tc_secret"))

    assert found == Principal(
        name=f"token:{made.id}", tenant_id=7, scopes=frozenset({VIEW}), alias_prefixes=("team-a-", "web")
    )


def test_only_the_hash_of_a_token_is_kept(database: Database) -> None:
    create(database, asked("tc_secret"))

    with database.reading() as transaction:
        row = transaction.execute(select(token)).one()
        told = transaction.execute(select(audit_event.c.facts)).scalar_one()
    assert row.token_sha256 == digest("tc_secret")
    assert "tc_secret" not in repr(row) + told
    assert digest("tc_secret") not in told


def test_token_is_good_until_it_expires_and_no_longer(database: Database) -> None:
    create(database, asked(expires_at=AT + timedelta(minutes=1)))
    moments = [AT, AT + timedelta(seconds=59.9), AT + timedelta(minutes=1), AT + timedelta(days=400)]

    clock = [AT]

    async def story() -> list[bool]:
        known, found = Tokens(database, digest(ADMIN), now=lambda: clock[0]), []
        for clock[0] in moments:
            found += [await known.owner("tc_secret") is not None]
        return found

    assert asyncio.run(story()) == [True, True, False, False]


def test_revoked_token_is_nobodys_and_stays_on_record(database: Database) -> None:
    made = create(database, asked())

    revoke(database, made.id, at=AT + timedelta(hours=1))
    revoke(database, made.id, at=AT + timedelta(hours=2))

    assert asyncio.run(known_at(database, AT).owner("tc_secret")) is None
    with database.reading() as transaction:
        assert tokens.get(transaction, made.id)[0].revoked_at == AT + timedelta(hours=1)
        actions = transaction.execute(select(audit_event.c.action).order_by(audit_event.c.sequence)).scalars().all()
        audit.verify(transaction)
    assert actions == ["token.created", "token.revoked"]


def test_process_that_revokes_refuses_at_once_and_others_within_their_second(database: Database) -> None:
    made = create(database, asked())

    async def story() -> list[bool]:
        here, elsewhere = known_at(database, AT), known_at(database, AT)
        found = [await one.owner("tc_secret") is not None for one in (here, elsewhere)]
        revoke(database, made.id)
        here.look_again()
        found.append(await here.owner("tc_secret") is not None)
        began = time.monotonic()
        while await elsewhere.owner("tc_secret") is not None:
            assert time.monotonic() < began + Tokens.LOOK_AGAIN_SECONDS + 1
            await asyncio.sleep(0.02)
        return found

    assert asyncio.run(story()) == [True, True, False]


def test_what_changes_while_we_look_is_looked_at_again(database: Database) -> None:
    made = create(database, asked())

    interruptions = [1]

    def changing() -> datetime:
        """The look asks for the time in the middle of reading: then somebody revokes."""
        if interruptions:
            interruptions.pop()
            known.look_again()
        return AT

    known = Tokens(database, digest(ADMIN), now=changing)

    async def story() -> list[bool]:
        found = [await known.owner("tc_secret") is not None]
        revoke(database, made.id)
        return [*found, await known.owner("tc_secret") is not None]

    assert asyncio.run(story()) == [True, False]


@pytest.mark.parametrize(
    ("changed", "codes"),
    [
        ({"tenant": "nowhere.example"}, {"tenant_unknown"}),
        ({"scopes": frozenset({VIEW, "apim:everything"})}, {"scope_unknown"}),
        ({"tenant": "abc.example", "scopes": frozenset({"trustcast:admin"})}, {"scope_impossible"}),
        ({"tenant": "abc.example", "scopes": frozenset({VIEW, "trustcast:gateways"})}, {"scope_impossible"}),
        ({"scopes": frozenset({"trustcast:admin"}), "alias_prefixes": ("a",)}, {"scope_impossible"}),
        ({"expires_at": AT}, {"expiry_out_of_range"}),
        ({"expires_at": AT - timedelta(days=1)}, {"expiry_out_of_range"}),
        ({"expires_at": AT + timedelta(days=366, seconds=1)}, {"expiry_out_of_range"}),
        (
            {"tenant": "?", "scopes": frozenset({"root"}), "expires_at": AT},
            {"tenant_unknown", "scope_unknown", "expiry_out_of_range"},
        ),
    ],
)
def test_token_that_may_not_be_is_refused(database: Database, changed: dict[str, Any], codes: set[str]) -> None:
    add_tenant(database)

    with pytest.raises(RejectedMany) as refused:
        create(database, asked(**changed))
    assert {one.code for one in refused.value.errors} == codes


def test_token_may_live_for_366_days(database: Database) -> None:
    assert create(database, asked(expires_at=AT + timedelta(days=366))).expires_at == AT + timedelta(days=366)


def test_same_token_is_made_once_even_after_it_was_revoked(database: Database) -> None:
    made = create(database, asked())
    with pytest.raises(Conflict, match="Somebody has this token"):
        create(database, asked(name="another"))
    revoke(database, made.id)

    with pytest.raises(Conflict, match="Somebody has this token"):
        create(database, asked(name="another"))


def test_token_of_a_gateway_becomes_nobody_elses(database: Database) -> None:
    Pipeline(database).enrol("g1")
    with database.reading() as transaction:
        of_gateway = transaction.execute(select(gateway.c.token_sha256)).scalar_one()

    with pytest.raises(Conflict, match="Somebody has this token"):
        create(database, asked(token_sha256=of_gateway, scopes=frozenset({"trustcast:admin"})))


def test_token_that_is_not_there_is_not_found(database: Database) -> None:
    with pytest.raises(NotFound, match="no token with this id"):
        revoke(database, "nobody's")


def test_pages_of_tokens_show_the_newest_first_and_count_all(database: Database) -> None:
    add_tenant(database)
    for number, tenant in enumerate(["carbon.super", "abc.example", "carbon.super"]):
        create(database, asked(f"tc_{number}", name=f"t{number}", tenant=tenant), at=AT + timedelta(seconds=number))

    with database.reading() as transaction:
        pages = [tokens.page(transaction, limit=2, offset=offset) for offset in (0, 2, 4)]

    assert [[(one.name, domain) for one, domain in found] for found, _total in pages] == [
        [("t2", "carbon.super"), ("t1", "abc.example")],
        [("t0", "carbon.super")],
        [],
    ]
    assert {total for _found, total in pages} == {3}


@pytest.fixture
def provider() -> Callable[..., tuple[OpenIdProvider, Signer]]:
    def of(**more: str) -> tuple[OpenIdProvider, Signer]:
        signer = Signer.of("ES256")
        keys = SigningKeys(_nobody_asks, "ES256", known=signing_keys.usable(jwks(signer.jwk()), "ES256"))
        return OpenIdProvider(issuer=ISSUER, audience=AUDIENCE, algorithm="ES256", keys=keys, **more), signer

    return of


async def _nobody_asks() -> bytes:
    raise AssertionError


Provider = Callable[..., tuple[OpenIdProvider, Signer]]


def test_provider_says_who_somebody_is(database: Database, provider: Provider) -> None:
    trusted, signer = provider(tenant="carbon.super")
    jwt = signer.token(scope="openid apim:api_view trustcast:admin unheard:of")

    found = asyncio.run(known_at(database, AT, trusted).owner(jwt))

    assert found == Principal(
        name="oidc:jane", tenant_id=SUPER_TENANT, scopes=frozenset({"apim:api_view", "trustcast:admin"})
    )


def test_tenant_may_stand_in_a_claim(database: Database, provider: Provider) -> None:
    add_tenant(database)
    trusted, signer = provider(tenant_claim="tenant")
    jwt = signer.token(tenant="ABC.example", scope=[VIEW, "trustcast:admin", "trustcast:gateways"])

    found = asyncio.run(known_at(database, AT, trusted).owner(jwt))

    assert found == Principal(name="oidc:jane", tenant_id=7, scopes=frozenset({VIEW}))


@pytest.mark.parametrize(("kid", "told"), [("k1-2026", "k1-2026"), ("-----BEGIN x", None), ("k" * 200, None)])
def test_log_tells_which_key_and_whence_but_nothing_of_the_token(
    database: Database, provider: Provider, kid: str, told: str | None
) -> None:
    trusted, signer = provider(tenant="carbon.super")
    jwt = signer.token({"kid": kid}, sub="jane-7391", exp=1)

    with structlog.testing.capture_logs() as lines:
        found = asyncio.run(known_at(database, AT, trusted).owner(jwt, address="192.0.2.7"))

    assert found is None
    assert [(one["event"], one["kid"], one["address"]) for one in lines] == [("token_refused", told, "192.0.2.7")]
    assert set(lines[0]) == {"event", "kid", "address", "reason", "log_level"}
    assert all(part not in str(lines) for part in [*jwt.split("."), "jane-7391"])


@pytest.mark.parametrize(
    "tenant", ["nowhere.example", "", ..., None, -1234, ["carbon.super"], "carbon.super\0", "carbon.super ", "\ud800"]
)
def test_token_of_no_tenant_is_nobodys(database: Database, provider: Provider, tenant: Any) -> None:
    trusted, signer = provider(tenant_claim="tenant")

    assert asyncio.run(known_at(database, AT, trusted).owner(signer.token(tenant=tenant))) is None


def test_fixed_tenant_that_is_not_there_makes_everybody_nobody(database: Database, provider: Provider) -> None:
    trusted, signer = provider(tenant="nowhere.example")

    assert asyncio.run(known_at(database, AT, trusted).owner(signer.token())) is None


def test_provider_may_bound_the_aliases_and_who_is_bounded_administers_nothing(
    database: Database, provider: Provider
) -> None:
    trusted, signer = provider(tenant="carbon.super")
    jwt = signer.token(scope=f"{VIEW} trustcast:admin", trustcast_alias_prefixes=["Team-A-"])

    found = asyncio.run(known_at(database, AT, trusted).owner(jwt))

    assert found == Principal(
        name="oidc:jane", tenant_id=SUPER_TENANT, scopes=frozenset({VIEW}), alias_prefixes=("team-a-",)
    )
    assert [found.may_name(alias) for alias in ("TEAM-A-web", "team-b-web", "team-a")] == [True, False, False]


def test_empty_list_of_prefixes_names_nothing(database: Database, provider: Provider) -> None:
    trusted, signer = provider(tenant="carbon.super")

    found = asyncio.run(known_at(database, AT, trusted).owner(signer.token(trustcast_alias_prefixes=[])))

    assert found is not None
    assert not found.may_name("web")


def test_subject_that_is_named_like_somebody_else_is_not_them(database: Database, provider: Provider) -> None:
    trusted, signer = provider(tenant="carbon.super")
    names = ["admin", "token:1", "gateway:g1", "oidc:jane"]

    found = [asyncio.run(known_at(database, AT, trusted).owner(signer.token(sub=name))) for name in names]

    assert [one and one.name for one in found] == [f"oidc:{name}" for name in names]


@pytest.fixture
def questions(database: Database) -> Iterator[list[Any]]:
    """The parameters of each SELECT."""
    asked: list[Any] = []

    def keep(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith("SELECT") and "token.token_sha256" in statement:
            asked.append(parameters)

    event.listen(database.engine, "before_cursor_execute", keep)
    yield asked
    event.remove(database.engine, "before_cursor_execute", keep)


def test_database_is_asked_for_the_tokens_that_are_shown_and_no_others(
    database: Database, questions: list[Any]
) -> None:
    for number in range(3):
        create(database, asked(f"tc_{number}"))
    questions.clear()

    async def story() -> list[bool]:
        known = known_at(database, AT)
        return [await known.owner(text) is not None for text in ("tc_1", "tc_1", "guess", "guess")]

    assert asyncio.run(story()) == [True, True, False, False]
    assert len(questions) == 2
    assert digest("tc_1") in str(questions[0])
    assert digest("tc_2") not in str(questions)


def test_many_who_guess_at_once_keep_one_connection_busy(database: Database, questions: list[Any]) -> None:
    create(database, asked())
    questions.clear()

    async def story() -> list[bool]:
        known = known_at(database, AT)
        found = await asyncio.gather(*(known.owner(text) for text in [*(f"g{n}" for n in range(300)), "tc_secret"]))
        return [one is not None for one in found]

    assert asyncio.run(story()) == [*([False] * 300), True]
    assert len(questions) == 2  # the first one's, and all the others'


class ShortMemory(Tokens):
    MOST_KEPT = 10


def test_guesses_push_out_guesses_alone(database: Database, questions: list[Any]) -> None:
    create(database, asked())

    async def story() -> None:
        known = ShortMemory(database, digest(ADMIN), now=lambda: AT)
        await known.owner("tc_secret")
        await asyncio.gather(*(known.owner(f"g{number}") for number in range(100)))
        questions.clear()
        await known.owner("tc_secret")

    asyncio.run(story())

    assert questions == []
