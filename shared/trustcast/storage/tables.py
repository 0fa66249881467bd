"""Every table, once. SQLAlchemy Core: rows are values here, not objects that change by themselves.

`AM_CERTIFICATE_METADATA` keeps WSO2's name and columns, because operators look for it; its names are emitted
unquoted, so that PostgreSQL folds them as WSO2's own scripts do.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.sql.elements import quoted_name

from trustcast.domain import alias

metadata = MetaData()

SUPER_TENANT = alias.SUPER_TENANT

# SQLite counts up by itself only for INTEGER PRIMARY KEY.
Sequence = BigInteger().with_variant(Integer, "sqlite")


class Instant(TypeDecorator[datetime]):
    """An aware datetime in UTC. SQLite forgets the zone, so it is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        instant: datetime = value
        return instant.replace(tzinfo=UTC) if dialect.name == "sqlite" else instant.astimezone(UTC)


def _wso2(name: str) -> quoted_name:
    return quoted_name(name, quote=False)


tenant = Table(
    "tenant",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("domain", String(255), nullable=False, unique=True),  # lower-case
    Column("on_expiry", String(16), nullable=False),  # keep, remove
    Column("policy", JSON(none_as_null=True)),  # what was set for it, by name; NULL: nothing
)

token = Table(
    "token",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("tenant_id", ForeignKey("tenant.id"), nullable=False, index=True),
    Column("name", String(255), nullable=False),
    Column("token_sha256", String(64), nullable=False, unique=True),
    Column("scopes", JSON, nullable=False),
    Column("alias_prefixes", JSON(none_as_null=True)),  # NULL: any alias
    Column("created_by", String(255), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("revoked_at", Instant),
)

environment = Table(
    "environment",
    metadata,
    Column("name", String(255), primary_key=True),
    Column("type", String(16), nullable=False),  # production, sandbox, hybrid
    Column("description", String(1000), nullable=False, default=""),
)

api = Table(
    "api",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("tenant_id", ForeignKey("tenant.id"), nullable=False),
    Column("name", String(255), nullable=False),
    Column("version", String(255), nullable=False),
    Column("context", String(255), nullable=False),
    Column("provider", String(255), nullable=False),
    Column("type", String(64), nullable=False),  # HTTP/REST, HTTP/SOAP, others
    Column("production_kind", String(16)),  # single, load_balanced, failover; NULL: no endpoint of this role
    Column("sandbox_kind", String(16)),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    UniqueConstraint("tenant_id", "name", "version"),
)

api_endpoint = Table(
    "api_endpoint",
    metadata,
    Column("api", ForeignKey("api.id"), primary_key=True),
    Column("role", String(16), primary_key=True),  # production, sandbox
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("tenant_id", Integer, nullable=False),
    Column("url", String(2048), nullable=False),  # as it was given
    # Where it is https: the normal form, its host, and the host without its first label, which a wildcard names.
    Column("endpoint", String(300)),
    Column("host", String(255)),
    Column("parent", String(255)),
    Index("ix_api_endpoint_endpoint", "tenant_id", "endpoint"),
    Index("ix_api_endpoint_host", "tenant_id", "host"),
    Index("ix_api_endpoint_parent", "tenant_id", "parent"),
)

# Whose certificates may belong in other environments than they are in: an API or an environment changed.
routing_due = Table(
    "routing_due",
    metadata,
    Column("id", Sequence, primary_key=True),
    Column("tenant_id", Integer),  # NULL: all tenants
    Column("endpoint", String(300)),  # NULL: all endpoints
    Column("created_at", Instant, nullable=False),
    sqlite_autoincrement=True,
)

gateway = Table(
    "gateway",
    metadata,
    Column("name", String(255), primary_key=True),
    Column("environment", ForeignKey("environment.name"), nullable=False, index=True),
    Column("token_sha256", String(64), unique=True),  # NULL: retired; what it reported stays on record
    Column("enrolled_at", Instant, nullable=False),
    # What it told last; `generation` only ever rises.
    Column("generation", BigInteger, nullable=False, default=0),
    Column("entries_sha256", String(64)),
    Column("phase", String(16)),
    Column("code", String(64)),
    Column("detail", Text),
    Column("reported_at", Instant),
)

gateway_report = Table(
    "gateway_report",
    metadata,
    Column("id", Sequence, primary_key=True),
    Column("gateway", ForeignKey("gateway.name"), nullable=False),
    Column("environment", ForeignKey("environment.name"), nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("entries_sha256", String(64)),
    Column("phase", String(16), nullable=False),
    Column("code", String(64)),
    Column("detail", Text),
    Column("at", Instant, nullable=False),
    Index("ix_gateway_report_gateway_generation", "gateway", "generation"),
)

certificate_blob = Table(
    "certificate_blob",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("der", LargeBinary, nullable=False),
)

operation = Table(
    "operation",
    metadata,
    Column("sequence", Sequence, primary_key=True),  # order of acceptance
    Column("id", String(36), nullable=False, unique=True),
    Column("tenant_id", Integer, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("alias", String(255), nullable=False),
    Column("alias_key", String(255), nullable=False),
    Column("endpoint", String(300)),
    Column("ca", Boolean, nullable=False),
    Column("accept_expired", Boolean, nullable=False, default=False),
    Column("force", Boolean, nullable=False, default=False),
    Column("if_match", String(64)),  # the SHA-256 that has to be trusted now
    Column("rotation", String(255)),  # the alias key of the other certificate in a rotation
    Column("activate_at", Instant),  # not applied before
    # The bytes go when the operation is rejected; the fingerprint stays for the record.
    Column("certificate", ForeignKey("certificate_blob.sha256"), index=True),
    Column("fingerprint_sha256", String(64)),
    Column("problem", JSON(none_as_null=True)),
    Column("warnings", JSON, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("lease_until", Instant),
    Column("leased_by", String(64)),
    Column("requested_by", String(255), nullable=False),
    Column("accepted_at", Instant, nullable=False),
    Column("validated_at", Instant),
    Column("applied_at", Instant),
    Column("converged_at", Instant),
    Index("ix_operation_state_sequence", "state", "sequence"),
    Index("ix_operation_alias", "tenant_id", "alias_key"),
    Index("ix_operation_tenant", "tenant_id", "sequence"),
)

# What an upload held beside the certificate that it is about: kept and shown, trusted nowhere.
operation_chain = Table(
    "operation_chain",
    metadata,
    Column("operation", ForeignKey("operation.id"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("certificate", ForeignKey("certificate_blob.sha256"), nullable=False, index=True),
)

batch = Table(
    "batch",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("tenant_id", ForeignKey("tenant.id"), nullable=False),
    Column("requested_by", String(255), nullable=False),
    Column("accepted_at", Instant, nullable=False),
    # How far it was read, and the SHA-256 of all bytes up to there: a batch that broke off can go on.
    Column("lines", Integer, nullable=False),
    Column("lines_sha256", String(64), nullable=False),
    Column("complete", Boolean, nullable=False),
    Column("problem", JSON(none_as_null=True)),  # why it ends before its end
)

batch_line = Table(
    "batch_line",
    metadata,
    Column("batch", ForeignKey("batch.id"), primary_key=True),
    Column("line", Integer, primary_key=True, autoincrement=False),  # from 1; empty ones count
    Column("alias", String(255)),  # NULL: none that may be shown
    Column("operation", ForeignKey("operation.id"), index=True),  # NULL: refused at the door
    Column("problem", JSON(none_as_null=True)),
)

operation_generation = Table(
    "operation_generation",
    metadata,
    Column("operation", ForeignKey("operation.id"), primary_key=True),
    Column("environment", ForeignKey("environment.name"), primary_key=True),
    Column("generation", BigInteger, nullable=False),
    Index("ix_operation_generation_environment_generation", "environment", "generation"),
)

certificate = Table(
    _wso2("AM_CERTIFICATE_METADATA"),
    metadata,
    Column(_wso2("TENANT_ID"), Integer, primary_key=True, autoincrement=False, key="tenant_id"),
    Column(_wso2("ALIAS_KEY"), String(255), primary_key=True, key="alias_key"),  # lower-case
    Column(_wso2("ALIAS"), String(255), nullable=False, key="alias"),
    Column(_wso2("END_POINT"), String(300), nullable=False, key="endpoint"),
    Column(_wso2("CERTIFICATE"), LargeBinary, nullable=False, key="certificate"),  # base64 text, as WSO2 stores it
    Column(_wso2("FINGERPRINT_SHA256"), String(64), nullable=False, key="fingerprint_sha256"),
    Column(_wso2("KEY_SHA256"), String(64), nullable=False, key="key_sha256"),  # of the SubjectPublicKeyInfo
    Column(_wso2("NOT_BEFORE"), Instant, nullable=False, key="not_before"),
    Column(_wso2("NOT_AFTER"), Instant, nullable=False, key="not_after"),
    Column(_wso2("OPERATION_ID"), ForeignKey("operation.id"), nullable=False, key="operation"),
    Column(_wso2("ROTATES"), String(255), key="rotates"),  # the alias key that this one is to take the place of
    Column(_wso2("EXPIRY_ANNOUNCED"), Integer, key="expiry_announced"),  # days before the end that were announced last
    Index("ix_am_certificate_metadata_endpoint", "tenant_id", "endpoint"),
    Index("ix_am_certificate_metadata_fingerprint", "tenant_id", "fingerprint_sha256"),
    Index("ix_am_certificate_metadata_key", "tenant_id", "key_sha256"),
    Index("ix_am_certificate_metadata_not_after", "tenant_id", "not_after"),
    Index("ix_am_certificate_metadata_expiry", "expiry_announced", "not_after"),
)

# The names inside each trusted certificate, lower-case; a wildcard as it stands there (`*.example.com`).
certificate_name = Table(
    "certificate_name",
    metadata,
    Column("tenant_id", Integer, primary_key=True, autoincrement=False),
    Column("alias_key", String(255), primary_key=True),
    Column("name", String(255), primary_key=True),
    Index("ix_certificate_name_name", "tenant_id", "name"),
)

truststore = Table(
    "truststore",
    metadata,
    Column("environment", ForeignKey("environment.name"), primary_key=True),
    Column("generation", BigInteger, nullable=False),  # the compare-and-swap column
    Column("entries", Integer, nullable=False),
    Column("entries_sha256", String(64), nullable=False),
)

truststore_entry = Table(
    "truststore_entry",
    metadata,
    Column("environment", ForeignKey("environment.name"), primary_key=True),
    Column("alias", String(300), primary_key=True),
    Column("certificate", ForeignKey("certificate_blob.sha256"), nullable=False, index=True),
)

truststore_change = Table(
    "truststore_change",
    metadata,
    Column("environment", ForeignKey("environment.name"), primary_key=True),
    Column("generation", BigInteger, primary_key=True, autoincrement=False),
    Column("alias", String(300), primary_key=True),
    Column("certificate", ForeignKey("certificate_blob.sha256"), index=True),  # NULL: removed
)

head = Table(
    "head",
    metadata,
    Column("id", Sequence, primary_key=True),
    Column("environment", ForeignKey("environment.name"), nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("entries_sha256", String(64), nullable=False),
    Column("payload_sha256", String(64), nullable=False),
    Column("issued_at", Instant, nullable=False),
    Column("envelope", Text, nullable=False),
    Index("ix_head_environment_generation", "environment", "generation", "id"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Sequence, primary_key=True),
    Column("type", String(64), nullable=False),
    Column("event", Text, nullable=False),  # a CloudEvent as JSON
    Column("created_at", Instant, nullable=False),
    sqlite_autoincrement=True,  # or the id of a row struck off goes to the next one, and a slow drain strikes off that
)

idempotency_key = Table(
    "idempotency_key",
    metadata,
    Column("tenant_id", Integer, primary_key=True, autoincrement=False),
    Column("principal", String(255), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("request_sha256", String(64), nullable=False),
    Column("answer", JSON, nullable=False),  # {operation} or {status, headers, body}
    Column("created_at", Instant, nullable=False, index=True),
)

audit_event = Table(
    "audit_event",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Instant, nullable=False),
    Column("actor", String(255), nullable=False),
    Column("tenant_id", Integer),  # NULL: of no tenant
    Column("address", String(64)),  # NULL: not by HTTP
    Column("action", String(64), nullable=False),
    Column("facts", Text, nullable=False),  # canonical JSON
    Column("previous_sha256", String(64), nullable=False),
    Column("sha256", String(64), nullable=False),
)

# One row: whoever appends updates it first, which makes appending one at a time on every database.
audit_tail = Table(
    "audit_tail",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("sequence", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
)
