"""The tables of the first release, the super tenant, the environment `default` and an empty audit chain."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.sql.elements import quoted_name

from trustcast.domain.truststore import Truststore
from trustcast.storage.audit import GENESIS
from trustcast.storage.tables import SUPER_TENANT, Instant, Sequence, audit_tail, environment, tenant, truststore

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def wso2(name: str) -> quoted_name:
    """Emit the name unquoted, as WSO2's own scripts do."""
    return quoted_name(name, quote=False)


def upgrade() -> None:
    """Create everything."""
    op.create_table(
        "audit_event",
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=True),
        sa.Column("address", sa.String(length=64), nullable=True),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("previous_sha256", sa.String(length=64), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("sequence"),
    )
    op.create_table(
        "audit_tail",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "certificate_blob",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("der", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sha256"),
    )
    op.create_table(
        "environment",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("type", sa.String(length=16), nullable=False),
        sa.Column("description", sa.String(length=1000), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "tenant",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("domain", sa.String(length=255), nullable=False),
        sa.Column("on_expiry", sa.String(length=16), nullable=False),
        sa.Column("policy", sa.JSON(none_as_null=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("domain"),
    )
    op.create_table(
        "token",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("token_sha256", sa.String(length=64), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("alias_prefixes", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("created_by", sa.String(length=255), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.Column("revoked_at", Instant(), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenant.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("token_sha256"),
    )
    op.create_index("ix_token_tenant_id", "token", ["tenant_id"], unique=False)
    op.create_table(
        "api",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("version", sa.String(length=255), nullable=False),
        sa.Column("context", sa.String(length=255), nullable=False),
        sa.Column("provider", sa.String(length=255), nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("production_kind", sa.String(length=16), nullable=True),
        sa.Column("sandbox_kind", sa.String(length=16), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenant.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant_id", "name", "version"),
    )
    op.create_table(
        "api_endpoint",
        sa.Column("api", sa.String(length=36), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("url", sa.String(length=2048), nullable=False),
        sa.Column("endpoint", sa.String(length=300), nullable=True),
        sa.Column("host", sa.String(length=255), nullable=True),
        sa.Column("parent", sa.String(length=255), nullable=True),
        sa.ForeignKeyConstraint(
            ["api"],
            ["api.id"],
        ),
        sa.PrimaryKeyConstraint("api", "role", "position"),
    )
    op.create_index("ix_api_endpoint_endpoint", "api_endpoint", ["tenant_id", "endpoint"], unique=False)
    op.create_index("ix_api_endpoint_host", "api_endpoint", ["tenant_id", "host"], unique=False)
    op.create_index("ix_api_endpoint_parent", "api_endpoint", ["tenant_id", "parent"], unique=False)
    op.create_table(
        "routing_due",
        sa.Column("id", Sequence, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=True),
        sa.Column("endpoint", sa.String(length=300), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "certificate_name",
        sa.Column("tenant_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("alias_key", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "alias_key", "name"),
    )
    op.create_index("ix_certificate_name_name", "certificate_name", ["tenant_id", "name"], unique=False)
    op.create_table(
        "outbox",
        sa.Column("id", Sequence, nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "gateway",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("environment", sa.String(length=255), nullable=False),
        sa.Column("token_sha256", sa.String(length=64), nullable=True),
        sa.Column("enrolled_at", Instant(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("entries_sha256", sa.String(length=64), nullable=True),
        sa.Column("phase", sa.String(length=16), nullable=True),
        sa.Column("code", sa.String(length=64), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("reported_at", Instant(), nullable=True),
        sa.ForeignKeyConstraint(
            ["environment"],
            ["environment.name"],
        ),
        sa.PrimaryKeyConstraint("name"),
        sa.UniqueConstraint("token_sha256"),
    )
    op.create_index("ix_gateway_environment", "gateway", ["environment"], unique=False)
    op.create_table(
        "head",
        sa.Column("id", Sequence, nullable=False),
        sa.Column("environment", sa.String(length=255), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("entries_sha256", sa.String(length=64), nullable=False),
        sa.Column("payload_sha256", sa.String(length=64), nullable=False),
        sa.Column("issued_at", Instant(), nullable=False),
        sa.Column("envelope", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["environment"],
            ["environment.name"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_head_environment_generation", "head", ["environment", "generation", "id"], unique=False)
    op.create_table(
        "operation",
        sa.Column("sequence", Sequence, nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("alias", sa.String(length=255), nullable=False),
        sa.Column("alias_key", sa.String(length=255), nullable=False),
        sa.Column("endpoint", sa.String(length=300), nullable=True),
        sa.Column("ca", sa.Boolean(), nullable=False),
        sa.Column("accept_expired", sa.Boolean(), nullable=False),
        sa.Column("force", sa.Boolean(), nullable=False),
        sa.Column("if_match", sa.String(length=64), nullable=True),
        sa.Column("rotation", sa.String(length=255), nullable=True),
        sa.Column("activate_at", Instant(), nullable=True),
        sa.Column("certificate", sa.String(length=64), nullable=True),
        sa.Column("fingerprint_sha256", sa.String(length=64), nullable=True),
        sa.Column("problem", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("warnings", sa.JSON(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("lease_until", Instant(), nullable=True),
        sa.Column("leased_by", sa.String(length=64), nullable=True),
        sa.Column("requested_by", sa.String(length=255), nullable=False),
        sa.Column("accepted_at", Instant(), nullable=False),
        sa.Column("validated_at", Instant(), nullable=True),
        sa.Column("applied_at", Instant(), nullable=True),
        sa.Column("converged_at", Instant(), nullable=True),
        sa.ForeignKeyConstraint(
            ["certificate"],
            ["certificate_blob.sha256"],
        ),
        sa.PrimaryKeyConstraint("sequence"),
        sa.UniqueConstraint("id"),
    )
    op.create_index("ix_operation_alias", "operation", ["tenant_id", "alias_key"], unique=False)
    op.create_index("ix_operation_certificate", "operation", ["certificate"], unique=False)
    op.create_index("ix_operation_tenant", "operation", ["tenant_id", "sequence"], unique=False)
    op.create_index("ix_operation_state_sequence", "operation", ["state", "sequence"], unique=False)
    _uploads()
    op.create_table(
        "truststore",
        sa.Column("environment", sa.String(length=255), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.Column("entries_sha256", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["environment"],
            ["environment.name"],
        ),
        sa.PrimaryKeyConstraint("environment"),
    )
    op.create_table(
        "truststore_change",
        sa.Column("environment", sa.String(length=255), nullable=False),
        sa.Column("generation", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("alias", sa.String(length=300), nullable=False),
        sa.Column("certificate", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(
            ["certificate"],
            ["certificate_blob.sha256"],
        ),
        sa.ForeignKeyConstraint(
            ["environment"],
            ["environment.name"],
        ),
        sa.PrimaryKeyConstraint("environment", "generation", "alias"),
    )
    op.create_index("ix_truststore_change_certificate", "truststore_change", ["certificate"], unique=False)
    op.create_table(
        "truststore_entry",
        sa.Column("environment", sa.String(length=255), nullable=False),
        sa.Column("alias", sa.String(length=300), nullable=False),
        sa.Column("certificate", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["certificate"],
            ["certificate_blob.sha256"],
        ),
        sa.ForeignKeyConstraint(
            ["environment"],
            ["environment.name"],
        ),
        sa.PrimaryKeyConstraint("environment", "alias"),
    )
    op.create_index("ix_truststore_entry_certificate", "truststore_entry", ["certificate"], unique=False)
    op.create_table(
        wso2("AM_CERTIFICATE_METADATA"),
        sa.Column(wso2("TENANT_ID"), sa.Integer(), autoincrement=False, nullable=False),
        sa.Column(wso2("ALIAS_KEY"), sa.String(length=255), nullable=False),
        sa.Column(wso2("ALIAS"), sa.String(length=255), nullable=False),
        sa.Column(wso2("END_POINT"), sa.String(length=300), nullable=False),
        sa.Column(wso2("CERTIFICATE"), sa.LargeBinary(), nullable=False),
        sa.Column(wso2("FINGERPRINT_SHA256"), sa.String(length=64), nullable=False),
        sa.Column(wso2("KEY_SHA256"), sa.String(length=64), nullable=False),
        sa.Column(wso2("NOT_BEFORE"), Instant(), nullable=False),
        sa.Column(wso2("NOT_AFTER"), Instant(), nullable=False),
        sa.Column(wso2("OPERATION_ID"), sa.String(length=36), nullable=False),
        sa.Column(wso2("ROTATES"), sa.String(length=255), nullable=True),
        sa.Column(wso2("EXPIRY_ANNOUNCED"), sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            [wso2("OPERATION_ID")],
            ["operation.id"],
        ),
        sa.PrimaryKeyConstraint(wso2("TENANT_ID"), wso2("ALIAS_KEY")),
    )
    op.create_index(
        "ix_am_certificate_metadata_endpoint",
        wso2("AM_CERTIFICATE_METADATA"),
        [wso2("TENANT_ID"), wso2("END_POINT")],
        unique=False,
    )
    op.create_index(
        "ix_am_certificate_metadata_fingerprint",
        wso2("AM_CERTIFICATE_METADATA"),
        [wso2("TENANT_ID"), wso2("FINGERPRINT_SHA256")],
        unique=False,
    )
    op.create_index(
        "ix_am_certificate_metadata_key",
        wso2("AM_CERTIFICATE_METADATA"),
        [wso2("TENANT_ID"), wso2("KEY_SHA256")],
        unique=False,
    )
    op.create_index(
        "ix_am_certificate_metadata_not_after",
        wso2("AM_CERTIFICATE_METADATA"),
        [wso2("TENANT_ID"), wso2("NOT_AFTER")],
        unique=False,
    )
    op.create_index(
        "ix_am_certificate_metadata_expiry",
        wso2("AM_CERTIFICATE_METADATA"),
        [wso2("EXPIRY_ANNOUNCED"), wso2("NOT_AFTER")],
        unique=False,
    )
    op.create_table(
        "gateway_report",
        sa.Column("id", Sequence, nullable=False),
        sa.Column("gateway", sa.String(length=255), nullable=False),
        sa.Column("environment", sa.String(length=255), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("entries_sha256", sa.String(length=64), nullable=True),
        sa.Column("phase", sa.String(length=16), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["gateway"],
            ["gateway.name"],
        ),
        sa.ForeignKeyConstraint(
            ["environment"],
            ["environment.name"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_gateway_report_gateway_generation", "gateway_report", ["gateway", "generation"], unique=False)
    op.create_table(
        "idempotency_key",
        sa.Column("tenant_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("principal", sa.String(length=255), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("request_sha256", sa.String(length=64), nullable=False),
        sa.Column("answer", sa.JSON(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "principal", "key"),
    )
    op.create_index("ix_idempotency_key_created_at", "idempotency_key", ["created_at"], unique=False)
    op.create_table(
        "operation_generation",
        sa.Column("operation", sa.String(length=36), nullable=False),
        sa.Column("environment", sa.String(length=255), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["environment"],
            ["environment.name"],
        ),
        sa.ForeignKeyConstraint(
            ["operation"],
            ["operation.id"],
        ),
        sa.PrimaryKeyConstraint("operation", "environment"),
    )
    op.create_index(
        "ix_operation_generation_environment_generation",
        "operation_generation",
        ["environment", "generation"],
        unique=False,
    )
    op.bulk_insert(environment, [{"name": "default", "type": "hybrid", "description": ""}])
    op.bulk_insert(tenant, [{"id": SUPER_TENANT, "domain": "carbon.super", "on_expiry": "keep"}])
    empty = {"environment": "default", "generation": 0, "entries": 0, "entries_sha256": Truststore().digest()}
    op.bulk_insert(truststore, [empty])
    op.bulk_insert(audit_tail, [{"id": 1, "sequence": 0, "sha256": GENESIS}])


def _uploads() -> None:
    """Create what remembers several certificates sent at once."""
    op.create_table(
        "operation_chain",
        sa.Column("operation", sa.String(length=36), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("certificate", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["certificate"],
            ["certificate_blob.sha256"],
        ),
        sa.ForeignKeyConstraint(
            ["operation"],
            ["operation.id"],
        ),
        sa.PrimaryKeyConstraint("operation", "position"),
    )
    op.create_index("ix_operation_chain_certificate", "operation_chain", ["certificate"], unique=False)
    op.create_table(
        "batch",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("requested_by", sa.String(length=255), nullable=False),
        sa.Column("accepted_at", Instant(), nullable=False),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("lines_sha256", sa.String(length=64), nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.Column("problem", sa.JSON(none_as_null=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenant.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "batch_line",
        sa.Column("batch", sa.String(length=36), nullable=False),
        sa.Column("line", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("alias", sa.String(length=255), nullable=True),
        sa.Column("operation", sa.String(length=36), nullable=True),
        sa.Column("problem", sa.JSON(none_as_null=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["batch"],
            ["batch.id"],
        ),
        sa.ForeignKeyConstraint(
            ["operation"],
            ["operation.id"],
        ),
        sa.PrimaryKeyConstraint("batch", "line"),
    )
    op.create_index("ix_batch_line_operation", "batch_line", ["operation"], unique=False)
