-- Trustcast: the tables, for SQL Server 2016 or newer, in an empty schema.
-- Trustcast does not run on this database: it runs on PostgreSQL and SQLite. The script is for those
-- who keep its tables, or copies of them, beside WSO2's: for reports, archives, or a move.
-- Run it with `sqlcmd -I -b -i mssql.sql`. Names compare byte by byte, as on PostgreSQL. Keys that may
-- be longer than a clustered index takes are not clustered.
-- Made from the migrations by `make dbscripts`; not to be edited.

BEGIN TRANSACTION;

CREATE TABLE alembic_version (
    version_num NVARCHAR(32) COLLATE Latin1_General_100_BIN2 NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

GO

-- Running upgrade  -> 0001

CREATE TABLE audit_event (
    sequence BIGINT NOT NULL,
    at DATETIMEOFFSET NOT NULL,
    actor NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
    tenant_id INTEGER NULL,
    address NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NULL,
    action NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    facts NVARCHAR(max) COLLATE Latin1_General_100_BIN2 NOT NULL,
    previous_sha256 NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    sha256 NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    PRIMARY KEY (sequence)
);

GO

CREATE TABLE audit_tail (
    id INTEGER NOT NULL,
    sequence BIGINT NOT NULL,
    sha256 NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    PRIMARY KEY (id)
);

GO

CREATE TABLE certificate_blob (
    sha256 NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    der VARBINARY(max) NOT NULL,
    PRIMARY KEY (sha256)
);

GO

CREATE TABLE environment (
    name NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
    type NVARCHAR(16) COLLATE Latin1_General_100_BIN2 NOT NULL,
    description NVARCHAR(1000) COLLATE Latin1_General_100_BIN2 NOT NULL,
    PRIMARY KEY (name)
);

GO

CREATE TABLE tenant (
    id INTEGER NOT NULL,
    domain NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
    on_expiry NVARCHAR(16) COLLATE Latin1_General_100_BIN2 NOT NULL,
    policy NVARCHAR(max) COLLATE Latin1_General_100_BIN2 NULL,
    PRIMARY KEY (id),
    UNIQUE (domain)
);

GO

CREATE TABLE token (
    id NVARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL,
    tenant_id INTEGER NOT NULL,
    name NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
    token_sha256 NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    scopes NVARCHAR(max) COLLATE Latin1_General_100_BIN2 NOT NULL,
    alias_prefixes NVARCHAR(max) COLLATE Latin1_General_100_BIN2 NULL,
    created_by NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
    created_at DATETIMEOFFSET NOT NULL,
    expires_at DATETIMEOFFSET NOT NULL,
    revoked_at DATETIMEOFFSET NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(tenant_id) REFERENCES tenant (id),
    UNIQUE (token_sha256)
);

GO

CREATE INDEX ix_token_tenant_id ON token (tenant_id);

GO

CREATE TABLE api (
    id NVARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL,
    tenant_id INTEGER NOT NULL,
    name NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
    version NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
    context NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
    provider NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
    type NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    production_kind NVARCHAR(16) COLLATE Latin1_General_100_BIN2 NULL,
    sandbox_kind NVARCHAR(16) COLLATE Latin1_General_100_BIN2 NULL,
    created_at DATETIMEOFFSET NOT NULL,
    updated_at DATETIMEOFFSET NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(tenant_id) REFERENCES tenant (id),
    UNIQUE (tenant_id, name, version)
);

GO

CREATE TABLE api_endpoint (
    api NVARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL,
    role NVARCHAR(16) COLLATE Latin1_General_100_BIN2 NOT NULL,
    position INTEGER NOT NULL,
    tenant_id INTEGER NOT NULL,
    url NVARCHAR(2048) COLLATE Latin1_General_100_BIN2 NOT NULL,
    endpoint NVARCHAR(300) COLLATE Latin1_General_100_BIN2 NULL,
    host NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
    parent NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
    PRIMARY KEY (api, role, position),
    FOREIGN KEY(api) REFERENCES api (id)
);

GO

CREATE INDEX ix_api_endpoint_endpoint ON api_endpoint (tenant_id, endpoint);

GO

CREATE INDEX ix_api_endpoint_host ON api_endpoint (tenant_id, host);

GO

CREATE INDEX ix_api_endpoint_parent ON api_endpoint (tenant_id, parent);

GO

CREATE TABLE routing_due (
    id BIGINT NOT NULL IDENTITY,
    tenant_id INTEGER NULL,
    endpoint NVARCHAR(300) COLLATE Latin1_General_100_BIN2 NULL,
    created_at DATETIMEOFFSET NOT NULL,
    PRIMARY KEY (id)
);

GO

CREATE TABLE certificate_name (
    tenant_id INTEGER NOT NULL,
    alias_key NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
    name NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
    PRIMARY KEY NONCLUSTERED (tenant_id, alias_key, name)
);

GO

CREATE INDEX ix_certificate_name_name ON certificate_name (tenant_id, name);

GO

CREATE TABLE outbox (
    id BIGINT NOT NULL IDENTITY,
    type NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    event NVARCHAR(max) COLLATE Latin1_General_100_BIN2 NOT NULL,
    created_at DATETIMEOFFSET NOT NULL,
    PRIMARY KEY (id)
);

GO

CREATE TABLE gateway (
    name NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
    environment NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
    token_sha256 NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NULL,
    enrolled_at DATETIMEOFFSET NOT NULL,
    generation BIGINT NOT NULL,
    entries_sha256 NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NULL,
    phase NVARCHAR(16) COLLATE Latin1_General_100_BIN2 NULL,
    code NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NULL,
    detail NVARCHAR(max) COLLATE Latin1_General_100_BIN2 NULL,
    reported_at DATETIMEOFFSET NULL,
    PRIMARY KEY (name),
    FOREIGN KEY(environment) REFERENCES environment (name)
);

GO

CREATE UNIQUE INDEX uq_gateway_token_sha256 ON gateway (token_sha256) WHERE token_sha256 IS NOT NULL;

GO

CREATE INDEX ix_gateway_environment ON gateway (environment);

GO

CREATE TABLE head (
    id BIGINT NOT NULL IDENTITY,
    environment NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
    generation BIGINT NOT NULL,
    entries_sha256 NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    payload_sha256 NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    issued_at DATETIMEOFFSET NOT NULL,
    envelope NVARCHAR(max) COLLATE Latin1_General_100_BIN2 NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(environment) REFERENCES environment (name)
);

GO

CREATE INDEX ix_head_environment_generation ON head (environment, generation, id);

GO

CREATE TABLE operation (
    sequence BIGINT NOT NULL IDENTITY,
    id NVARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL,
    tenant_id INTEGER NOT NULL,
    kind NVARCHAR(16) COLLATE Latin1_General_100_BIN2 NOT NULL,
    state NVARCHAR(16) COLLATE Latin1_General_100_BIN2 NOT NULL,
    alias NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
    alias_key NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
    endpoint NVARCHAR(300) COLLATE Latin1_General_100_BIN2 NULL,
    ca BIT NOT NULL,
    accept_expired BIT NOT NULL,
    force BIT NOT NULL,
    if_match NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NULL,
    rotation NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
    activate_at DATETIMEOFFSET NULL,
    certificate NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NULL,
    fingerprint_sha256 NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NULL,
    problem NVARCHAR(max) COLLATE Latin1_General_100_BIN2 NULL,
    warnings NVARCHAR(max) COLLATE Latin1_General_100_BIN2 NOT NULL,
    attempts INTEGER NOT NULL,
    lease_until DATETIMEOFFSET NULL,
    leased_by NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NULL,
    requested_by NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
    accepted_at DATETIMEOFFSET NOT NULL,
    validated_at DATETIMEOFFSET NULL,
    applied_at DATETIMEOFFSET NULL,
    converged_at DATETIMEOFFSET NULL,
    PRIMARY KEY (sequence),
    FOREIGN KEY(certificate) REFERENCES certificate_blob (sha256),
    UNIQUE (id)
);

GO

CREATE INDEX ix_operation_alias ON operation (tenant_id, alias_key);

GO

CREATE INDEX ix_operation_certificate ON operation (certificate);

GO

CREATE INDEX ix_operation_tenant ON operation (tenant_id, sequence);

GO

CREATE INDEX ix_operation_state_sequence ON operation (state, sequence);

GO

CREATE TABLE operation_chain (
    operation NVARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL,
    position INTEGER NOT NULL,
    certificate NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    PRIMARY KEY (operation, position),
    FOREIGN KEY(certificate) REFERENCES certificate_blob (sha256),
    FOREIGN KEY(operation) REFERENCES operation (id)
);

GO

CREATE INDEX ix_operation_chain_certificate ON operation_chain (certificate);

GO

CREATE TABLE batch (
    id NVARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL,
    tenant_id INTEGER NOT NULL,
    requested_by NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
    accepted_at DATETIMEOFFSET NOT NULL,
    lines INTEGER NOT NULL,
    lines_sha256 NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    complete BIT NOT NULL,
    problem NVARCHAR(max) COLLATE Latin1_General_100_BIN2 NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(tenant_id) REFERENCES tenant (id)
);

GO

CREATE TABLE batch_line (
    batch NVARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL,
    line INTEGER NOT NULL,
    alias NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
    operation NVARCHAR(36) COLLATE Latin1_General_100_BIN2 NULL,
    problem NVARCHAR(max) COLLATE Latin1_General_100_BIN2 NULL,
    PRIMARY KEY (batch, line),
    FOREIGN KEY(batch) REFERENCES batch (id),
    FOREIGN KEY(operation) REFERENCES operation (id)
);

GO

CREATE INDEX ix_batch_line_operation ON batch_line (operation);

GO

CREATE TABLE truststore (
    environment NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
    generation BIGINT NOT NULL,
    entries INTEGER NOT NULL,
    entries_sha256 NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    PRIMARY KEY (environment),
    FOREIGN KEY(environment) REFERENCES environment (name)
);

GO

CREATE TABLE truststore_change (
    environment NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
    generation BIGINT NOT NULL,
    alias NVARCHAR(300) COLLATE Latin1_General_100_BIN2 NOT NULL,
    certificate NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NULL,
    PRIMARY KEY NONCLUSTERED (environment, generation, alias),
    FOREIGN KEY(certificate) REFERENCES certificate_blob (sha256),
    FOREIGN KEY(environment) REFERENCES environment (name)
);

GO

CREATE INDEX ix_truststore_change_certificate ON truststore_change (certificate);

GO

CREATE TABLE truststore_entry (
    environment NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
    alias NVARCHAR(300) COLLATE Latin1_General_100_BIN2 NOT NULL,
    certificate NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    PRIMARY KEY NONCLUSTERED (environment, alias),
    FOREIGN KEY(certificate) REFERENCES certificate_blob (sha256),
    FOREIGN KEY(environment) REFERENCES environment (name)
);

GO

CREATE INDEX ix_truststore_entry_certificate ON truststore_entry (certificate);

GO

CREATE TABLE AM_CERTIFICATE_METADATA (
    TENANT_ID INTEGER NOT NULL,
    ALIAS_KEY NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
    ALIAS NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
    END_POINT NVARCHAR(300) COLLATE Latin1_General_100_BIN2 NOT NULL,
    CERTIFICATE VARBINARY(max) NOT NULL,
    FINGERPRINT_SHA256 NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    KEY_SHA256 NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    NOT_BEFORE DATETIMEOFFSET NOT NULL,
    NOT_AFTER DATETIMEOFFSET NOT NULL,
    OPERATION_ID NVARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL,
    ROTATES NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
    EXPIRY_ANNOUNCED INTEGER NULL,
    PRIMARY KEY (TENANT_ID, ALIAS_KEY),
    FOREIGN KEY(OPERATION_ID) REFERENCES operation (id)
);

GO

CREATE INDEX ix_am_certificate_metadata_endpoint ON AM_CERTIFICATE_METADATA (TENANT_ID, END_POINT);

GO

CREATE INDEX ix_am_certificate_metadata_fingerprint ON AM_CERTIFICATE_METADATA (TENANT_ID, FINGERPRINT_SHA256);

GO

CREATE INDEX ix_am_certificate_metadata_key ON AM_CERTIFICATE_METADATA (TENANT_ID, KEY_SHA256);

GO

CREATE INDEX ix_am_certificate_metadata_not_after ON AM_CERTIFICATE_METADATA (TENANT_ID, NOT_AFTER);

GO

CREATE INDEX ix_am_certificate_metadata_expiry ON AM_CERTIFICATE_METADATA (EXPIRY_ANNOUNCED, NOT_AFTER);

GO

CREATE TABLE gateway_report (
    id BIGINT NOT NULL IDENTITY,
    gateway NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
    environment NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
    generation BIGINT NOT NULL,
    entries_sha256 NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NULL,
    phase NVARCHAR(16) COLLATE Latin1_General_100_BIN2 NOT NULL,
    code NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NULL,
    detail NVARCHAR(max) COLLATE Latin1_General_100_BIN2 NULL,
    at DATETIMEOFFSET NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(gateway) REFERENCES gateway (name),
    FOREIGN KEY(environment) REFERENCES environment (name)
);

GO

CREATE INDEX ix_gateway_report_gateway_generation ON gateway_report (gateway, generation);

GO

CREATE TABLE idempotency_key (
    tenant_id INTEGER NOT NULL,
    principal NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
    [key] NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
    request_sha256 NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    answer NVARCHAR(max) COLLATE Latin1_General_100_BIN2 NOT NULL,
    created_at DATETIMEOFFSET NOT NULL,
    PRIMARY KEY NONCLUSTERED (tenant_id, principal, [key])
);

GO

CREATE INDEX ix_idempotency_key_created_at ON idempotency_key (created_at);

GO

CREATE TABLE operation_generation (
    operation NVARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL,
    environment NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
    generation BIGINT NOT NULL,
    PRIMARY KEY (operation, environment),
    FOREIGN KEY(environment) REFERENCES environment (name),
    FOREIGN KEY(operation) REFERENCES operation (id)
);

GO

CREATE INDEX ix_operation_generation_environment_generation ON operation_generation (environment, generation);

GO

INSERT INTO environment (name, type, description) VALUES ('default', 'hybrid', '');

GO

INSERT INTO tenant (id, domain, on_expiry) VALUES (-1234, 'carbon.super', 'keep');

GO

INSERT INTO truststore (environment, generation, entries, entries_sha256) VALUES ('default', 0, 0, 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');

GO

INSERT INTO audit_tail (id, sequence, sha256) VALUES (1, 0, '0000000000000000000000000000000000000000000000000000000000000000');

GO

INSERT INTO alembic_version (version_num) VALUES ('0001');

GO

COMMIT;

GO
