"""Requests on their way through the use cases, called one by one: accept, validate, apply. The clock is a value."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.certificates import Made, self_signed
from tests.invariants import assert_truststores
from trustcast.domain.environment import EnvironmentType
from trustcast.domain.errors import Unavailable
from trustcast.domain.head import Head, HeadSigner, opened
from trustcast.domain.messages import Message
from trustcast.domain.operation import Kind
from trustcast.domain.policy import Policy
from trustcast.domain.published_api import Backends, EndpointKind, PublishedApi
from trustcast.storage import arrivals, audit, gateways, operations, truststores
from trustcast.storage.gateways import Enrolled, Phase, Report
from trustcast.storage.operations import Operation
from trustcast.storage.session import Database
from trustcast.storage.tables import SUPER_TENANT
from trustcast.storage.validation import Verdict
from trustcast_api import rotate, scopes
from trustcast_api.accept_request import accept_request
from trustcast_api.cancel_batch import cancel_batch
from trustcast_api.cancel_operation import cancel_operation
from trustcast_api.change_environment import change_environment
from trustcast_api.change_tenant import PolicyChange, change_tenant
from trustcast_api.once import Answer
from trustcast_api.principal import Principal
from trustcast_api.record_report import record_report
from trustcast_api.register_api import register_api
from trustcast_api.remove_api import remove_api
from trustcast_api.request import Request
from trustcast_worker.apply_changes import apply_changes
from trustcast_worker.decide import Outcome
from trustcast_worker.sign_heads import sign_heads
from trustcast_worker.sweep import sweep
from trustcast_worker.truststore_cache import TruststoreCache
from trustcast_worker.validate_uploads import validate_uploads

ADMIN = Principal(name="admin", tenant_id=SUPER_TENANT, scopes=scopes.ADMINISTER)


class Postbox:
    """A broker that keeps what it took; with `down` it takes nothing."""

    def __init__(self, *, down: bool = False) -> None:
        self.down = down
        self.taken: list[Message] = []

    def publish(self, message: Message, event: str) -> None:  # noqa: ARG002 - the broker's signature
        if self.down:
            raise Unavailable("broker_unavailable", "The broker does not answer.")
        self.taken.append(message)


@dataclass
class Pipeline:
    """One worker process' view of `database`; several on one database are several workers."""

    database: Database
    per_endpoint: int | None = 1
    name: str = "worker-1"
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    cache: TruststoreCache = field(default_factory=TruststoreCache)

    @property
    def policy(self) -> Policy:
        """The installation's: for tenants that have none of their own."""
        return Policy(certificates_per_endpoint=self.per_endpoint)

    def later(self, **by: float) -> None:
        self.at += timedelta(**by)

    def add(
        self,
        alias: str,
        endpoint: str = "",
        made: Made | None = None,
        *,
        ca: bool = False,
        activate_at: datetime | None = None,
        key: str | None = None,
        who: Principal = ADMIN,
    ) -> str:
        """Accept an upload of `made` (one of its own by default) for `endpoint` (https://ALIAS.example by default)."""
        host = f"{alias.lower()}.example"
        der = (made or self_signed(host)).der
        request = Request(
            kind=Kind.ADD,
            alias=alias,
            endpoint=endpoint or f"https://{host}:443",
            certificate=der,
            ca=ca,
            activate_at=activate_at,
        )
        return self.accept(request, key=key, who=who)

    def replace(
        self,
        alias: str,
        made: Made | None = None,
        *,
        if_match: str | None = None,
        force: bool = False,
        activate_at: datetime | None = None,
        who: Principal = ADMIN,
    ) -> str:
        der = (made or self_signed(f"{alias.lower()}.example")).der
        wanted = Request(
            kind=Kind.REPLACE, alias=alias, certificate=der, if_match=if_match, force=force, activate_at=activate_at
        )
        return self.accept(wanted, who=who)

    def delete(self, alias: str, *, force: bool = False, who: Principal = ADMIN) -> str:
        return self.accept(Request(kind=Kind.DELETE, alias=alias, force=force), who=who)

    def rotate(self, alias: str, made: Made | None = None, *, activate_at: datetime | None = None) -> str:
        """Begin a rotation to `made`."""
        der = (made or self_signed(f"{alias.lower()}.example")).der
        wanted = Request(
            kind=Kind.ADD,
            alias=f"{alias}.next",
            rotation=alias.lower(),
            certificate=der,
            activate_at=activate_at,
        )
        return self.accept(wanted)

    def finish(self, alias: str, *, force: bool = False) -> str:
        return self.accept(rotate.finish(alias, force=force))

    def cancel(self, alias: str) -> str:
        return self.accept(rotate.cancel(alias))

    def call_off(self, id: str, *, who: Principal = ADMIN) -> Answer:  # noqa: A002 - its name everywhere
        return cancel_operation(self.database, id, who=who, idempotency_key=None, at=self.at)

    def call_off_batch(self, id: str, *, who: Principal = ADMIN) -> Answer:  # noqa: A002
        return cancel_batch(self.database, id, who=who, idempotency_key=None, at=self.at)

    def set_policy(self, **settings: object) -> None:
        """Give the super tenant these settings, beside those that it has."""
        change = PolicyChange(settings)
        change_tenant(
            self.database,
            SUPER_TENANT,
            domain="carbon.super",
            on_expiry=None,
            who=ADMIN,
            idempotency_key=None,
            at=self.at,
            policy=change,
        )

    def tenant(self, id: int) -> Principal:  # noqa: A002 - its name everywhere
        """Make a tenant; return somebody who may do everything there."""
        domain = f"tenant-{id}.example"
        change_tenant(self.database, id, domain=domain, on_expiry=None, who=ADMIN, idempotency_key=None, at=self.at)
        return Principal(name=f"token:{id}", tenant_id=id, scopes=scopes.ALL - scopes.BEYOND_ONE_TENANT)

    def environment(self, name: str, type: str) -> None:  # noqa: A002 - its name everywhere
        change_environment(
            self.database,
            name,
            type=EnvironmentType(type),
            description=None,
            who=ADMIN,
            idempotency_key=None,
            at=self.at,
        )

    def api(self, name: str, *, production: str = "", sandbox: str = "", who: Principal = ADMIN) -> str:
        """Register an API with these endpoints; return its id."""
        urls = {"production": production, "sandbox": sandbox}
        backends = {role: Backends(EndpointKind.SINGLE, (url,)) for role, url in urls.items() if url}
        asked = PublishedApi(
            name=name, version="1.0", context=f"/{name}", provider="admin", type="HTTP/REST", **backends
        )
        answer = register_api(self.database, asked, who=who, idempotency_key=None, at=self.at)
        return str(answer.body["id"])

    def remove_api(self, id: str) -> None:  # noqa: A002
        remove_api(self.database, id, who=ADMIN, idempotency_key=None, at=self.at)

    def accept(self, request: Request, *, key: str | None = None, who: Principal = ADMIN) -> str:
        return accept_request(self.database, request, who=who, idempotency_key=key, at=self.at).id

    def validate(self) -> list[Verdict]:
        return validate_uploads(self.database, policy=self.policy, worker=self.name, now=lambda: self.at)

    def apply(self) -> Outcome:
        return apply_changes(
            self.database,
            signer=HeadSigner(self.key),
            cache=self.cache,
            policy=self.policy,
            at=self.at,
        )

    def run(self) -> Outcome:
        """Validate and apply what waits."""
        self.validate()
        self.later(seconds=1)
        return self.apply()

    def sweep(self) -> None:
        sweep(self.database, at=self.at)

    def sign(self) -> int:
        return sign_heads(self.database, signer=HeadSigner(self.key), at=self.at)

    def operation(self, id: str, tenant_id: int = SUPER_TENANT) -> Operation:  # noqa: A002 - its name everywhere
        with self.database.reading() as transaction:
            return operations.get(transaction, tenant_id, id)

    def status(self, environment: str = "default") -> truststores.Status:
        with self.database.reading() as transaction:
            return truststores.status(transaction, environment)

    def trusted(self, environment: str = "default") -> set[str]:
        """The aliases in the truststore."""
        return set(self.entries(environment))

    def entries(self, environment: str = "default") -> dict[str, str]:
        """The truststore: alias -> SHA-256 of the certificate."""
        with self.database.reading() as transaction:
            return dict(truststores.content(transaction, environment).entries)

    def generations(self, operation: str) -> dict[str, int]:
        """In which generation of which environment the operation has arrived."""
        with self.database.reading() as transaction:
            return arrivals.generations(transaction, operation)

    def assert_sound(self) -> None:
        """Whatever happened: each environment holds what is routed there, and its generations are signed."""
        with self.database.reading() as transaction:
            assert_truststores(transaction, self.key.public_key())
            audit.verify(transaction)

    def head(self, environment: str = "default") -> Head:
        """The newest head, its signature verified."""
        with self.database.reading() as transaction:
            signed = truststores.newest_head(transaction, environment)
        assert signed is not None
        signer = HeadSigner(self.key)
        return opened(signed.envelope.encode(), {signer.key_id: self.key.public_key()})

    def enrol(self, *names: str, environment: str = "default") -> None:
        with self.database.writing() as transaction:
            lines = [Enrolled(name, environment, uuid.uuid4().hex * 2) for name in names]
            gateways.enrol(transaction, lines, at=self.at)
            transaction.commit()

    def report(
        self, gateway: str, generation: int, digest: str | None = None, phase: Phase = Phase.INSTALLED, **why: str
    ) -> None:
        """Report as `gateway`, with the digest that was signed for the generation unless another is given."""
        with self.database.reading() as transaction:
            signed = truststores.digest_of(transaction, "default", generation)
        told = Report(generation=generation, entries_sha256=digest or signed, phase=phase, **why)
        record_report(self.database, told, gateway=gateway, environment="default", at=self.at)

    def standing(self, gateway: str) -> gateways.GatewayStatus:
        with self.database.reading() as transaction:
            return next(one for one in gateways.in_environment(transaction, "default") if one.name == gateway)
