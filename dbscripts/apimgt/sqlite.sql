-- Trustcast: the tables, for SQLite, in an empty schema.
-- Trustcast runs on this database. `trustcast db upgrade` does the same, and it alone brings a
-- database that is in use to a newer version; this script is for whoever has to see the statements
-- first, or may not let a program create tables.
-- Run it with `sqlite3 -bail trustcast.db < sqlite.sql`; all of it is one transaction.
-- Made from the migrations by `make dbscripts`; not to be edited.

BEGIN;

CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

-- Running upgrade  -> 0001

CREATE TABLE audit_event (
    sequence BIGINT NOT NULL,
    at DATETIME NOT NULL,
    actor VARCHAR(255) NOT NULL,
    tenant_id INTEGER,
    address VARCHAR(64),
    action VARCHAR(64) NOT NULL,
    facts TEXT NOT NULL,
    previous_sha256 VARCHAR(64) NOT NULL,
    sha256 VARCHAR(64) NOT NULL,
    PRIMARY KEY (sequence)
);

CREATE TABLE audit_tail (
    id INTEGER NOT NULL,
    sequence BIGINT NOT NULL,
    sha256 VARCHAR(64) NOT NULL,
    PRIMARY KEY (id)
);

CREATE TABLE certificate_blob (
    sha256 VARCHAR(64) NOT NULL,
    der BLOB NOT NULL,
    PRIMARY KEY (sha256)
);

CREATE TABLE environment (
    name VARCHAR(255) NOT NULL,
    type VARCHAR(16) NOT NULL,
    description VARCHAR(1000) NOT NULL,
    PRIMARY KEY (name)
);

CREATE TABLE tenant (
    id INTEGER NOT NULL,
    domain VARCHAR(255) NOT NULL,
    on_expiry VARCHAR(16) NOT NULL,
    policy JSON,
    PRIMARY KEY (id),
    UNIQUE (domain)
);

CREATE TABLE token (
    id VARCHAR(36) NOT NULL,
    tenant_id INTEGER NOT NULL,
    name VARCHAR(255) NOT NULL,
    token_sha256 VARCHAR(64) NOT NULL,
    scopes JSON NOT NULL,
    alias_prefixes JSON,
    created_by VARCHAR(255) NOT NULL,
    created_at DATETIME NOT NULL,
    expires_at DATETIME NOT NULL,
    revoked_at DATETIME,
    PRIMARY KEY (id),
    FOREIGN KEY(tenant_id) REFERENCES tenant (id),
    UNIQUE (token_sha256)
);

CREATE INDEX ix_token_tenant_id ON token (tenant_id);

CREATE TABLE api (
    id VARCHAR(36) NOT NULL,
    tenant_id INTEGER NOT NULL,
    name VARCHAR(255) NOT NULL,
    version VARCHAR(255) NOT NULL,
    context VARCHAR(255) NOT NULL,
    provider VARCHAR(255) NOT NULL,
    type VARCHAR(64) NOT NULL,
    production_kind VARCHAR(16),
    sandbox_kind VARCHAR(16),
    created_at DATETIME NOT NULL,
    updated_at DATETIME NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(tenant_id) REFERENCES tenant (id),
    UNIQUE (tenant_id, name, version)
);

CREATE TABLE api_endpoint (
    api VARCHAR(36) NOT NULL,
    role VARCHAR(16) NOT NULL,
    position INTEGER NOT NULL,
    tenant_id INTEGER NOT NULL,
    url VARCHAR(2048) NOT NULL,
    endpoint VARCHAR(300),
    host VARCHAR(255),
    parent VARCHAR(255),
    PRIMARY KEY (api, role, position),
    FOREIGN KEY(api) REFERENCES api (id)
);

CREATE INDEX ix_api_endpoint_endpoint ON api_endpoint (tenant_id, endpoint);

CREATE INDEX ix_api_endpoint_host ON api_endpoint (tenant_id, host);

CREATE INDEX ix_api_endpoint_parent ON api_endpoint (tenant_id, parent);

CREATE TABLE routing_due (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    tenant_id INTEGER,
    endpoint VARCHAR(300),
    created_at DATETIME NOT NULL
);

CREATE TABLE certificate_name (
    tenant_id INTEGER NOT NULL,
    alias_key VARCHAR(255) NOT NULL,
    name VARCHAR(255) NOT NULL,
    PRIMARY KEY (tenant_id, alias_key, name)
);

CREATE INDEX ix_certificate_name_name ON certificate_name (tenant_id, name);

CREATE TABLE outbox (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    type VARCHAR(64) NOT NULL,
    event TEXT NOT NULL,
    created_at DATETIME NOT NULL
);

CREATE TABLE gateway (
    name VARCHAR(255) NOT NULL,
    environment VARCHAR(255) NOT NULL,
    token_sha256 VARCHAR(64),
    enrolled_at DATETIME NOT NULL,
    generation BIGINT NOT NULL,
    entries_sha256 VARCHAR(64),
    phase VARCHAR(16),
    code VARCHAR(64),
    detail TEXT,
    reported_at DATETIME,
    PRIMARY KEY (name),
    FOREIGN KEY(environment) REFERENCES environment (name),
    UNIQUE (token_sha256)
);

CREATE INDEX ix_gateway_environment ON gateway (environment);

CREATE TABLE head (
    id INTEGER NOT NULL,
    environment VARCHAR(255) NOT NULL,
    generation BIGINT NOT NULL,
    entries_sha256 VARCHAR(64) NOT NULL,
    payload_sha256 VARCHAR(64) NOT NULL,
    issued_at DATETIME NOT NULL,
    envelope TEXT NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(environment) REFERENCES environment (name)
);

CREATE INDEX ix_head_environment_generation ON head (environment, generation, id);

CREATE TABLE operation (
    sequence INTEGER NOT NULL,
    id VARCHAR(36) NOT NULL,
    tenant_id INTEGER NOT NULL,
    kind VARCHAR(16) NOT NULL,
    state VARCHAR(16) NOT NULL,
    alias VARCHAR(255) NOT NULL,
    alias_key VARCHAR(255) NOT NULL,
    endpoint VARCHAR(300),
    ca BOOLEAN NOT NULL,
    accept_expired BOOLEAN NOT NULL,
    force BOOLEAN NOT NULL,
    if_match VARCHAR(64),
    rotation VARCHAR(255),
    activate_at DATETIME,
    certificate VARCHAR(64),
    fingerprint_sha256 VARCHAR(64),
    problem JSON,
    warnings JSON NOT NULL,
    attempts INTEGER NOT NULL,
    lease_until DATETIME,
    leased_by VARCHAR(64),
    requested_by VARCHAR(255) NOT NULL,
    accepted_at DATETIME NOT NULL,
    validated_at DATETIME,
    applied_at DATETIME,
    converged_at DATETIME,
    PRIMARY KEY (sequence),
    FOREIGN KEY(certificate) REFERENCES certificate_blob (sha256),
    UNIQUE (id)
);

CREATE INDEX ix_operation_alias ON operation (tenant_id, alias_key);

CREATE INDEX ix_operation_certificate ON operation (certificate);

CREATE INDEX ix_operation_tenant ON operation (tenant_id, sequence);

CREATE INDEX ix_operation_state_sequence ON operation (state, sequence);

CREATE TABLE operation_chain (
    operation VARCHAR(36) NOT NULL,
    position INTEGER NOT NULL,
    certificate VARCHAR(64) NOT NULL,
    PRIMARY KEY (operation, position),
    FOREIGN KEY(certificate) REFERENCES certificate_blob (sha256),
    FOREIGN KEY(operation) REFERENCES operation (id)
);

CREATE INDEX ix_operation_chain_certificate ON operation_chain (certificate);

CREATE TABLE batch (
    id VARCHAR(36) NOT NULL,
    tenant_id INTEGER NOT NULL,
    requested_by VARCHAR(255) NOT NULL,
    accepted_at DATETIME NOT NULL,
    lines INTEGER NOT NULL,
    lines_sha256 VARCHAR(64) NOT NULL,
    complete BOOLEAN NOT NULL,
    problem JSON,
    PRIMARY KEY (id),
    FOREIGN KEY(tenant_id) REFERENCES tenant (id)
);

CREATE TABLE batch_line (
    batch VARCHAR(36) NOT NULL,
    line INTEGER NOT NULL,
    alias VARCHAR(255),
    operation VARCHAR(36),
    problem JSON,
    PRIMARY KEY (batch, line),
    FOREIGN KEY(batch) REFERENCES batch (id),
    FOREIGN KEY(operation) REFERENCES operation (id)
);

CREATE INDEX ix_batch_line_operation ON batch_line (operation);

CREATE TABLE truststore (
    environment VARCHAR(255) NOT NULL,
    generation BIGINT NOT NULL,
    entries INTEGER NOT NULL,
    entries_sha256 VARCHAR(64) NOT NULL,
    PRIMARY KEY (environment),
    FOREIGN KEY(environment) REFERENCES environment (name)
);

CREATE TABLE truststore_change (
    environment VARCHAR(255) NOT NULL,
    generation BIGINT NOT NULL,
    alias VARCHAR(300) NOT NULL,
    certificate VARCHAR(64),
    PRIMARY KEY (environment, generation, alias),
    FOREIGN KEY(certificate) REFERENCES certificate_blob (sha256),
    FOREIGN KEY(environment) REFERENCES environment (name)
);

CREATE INDEX ix_truststore_change_certificate ON truststore_change (certificate);

CREATE TABLE truststore_entry (
    environment VARCHAR(255) NOT NULL,
    alias VARCHAR(300) NOT NULL,
    certificate VARCHAR(64) NOT NULL,
    PRIMARY KEY (environment, alias),
    FOREIGN KEY(certificate) REFERENCES certificate_blob (sha256),
    FOREIGN KEY(environment) REFERENCES environment (name)
);

CREATE INDEX ix_truststore_entry_certificate ON truststore_entry (certificate);

CREATE TABLE AM_CERTIFICATE_METADATA (
    TENANT_ID INTEGER NOT NULL,
    ALIAS_KEY VARCHAR(255) NOT NULL,
    ALIAS VARCHAR(255) NOT NULL,
    END_POINT VARCHAR(300) NOT NULL,
    CERTIFICATE BLOB NOT NULL,
    FINGERPRINT_SHA256 VARCHAR(64) NOT NULL,
    KEY_SHA256 VARCHAR(64) NOT NULL,
    NOT_BEFORE DATETIME NOT NULL,
    NOT_AFTER DATETIME NOT NULL,
    OPERATION_ID VARCHAR(36) NOT NULL,
    ROTATES VARCHAR(255),
    EXPIRY_ANNOUNCED INTEGER,
    PRIMARY KEY (TENANT_ID, ALIAS_KEY),
    FOREIGN KEY(OPERATION_ID) REFERENCES operation (id)
);

CREATE INDEX ix_am_certificate_metadata_endpoint ON AM_CERTIFICATE_METADATA (TENANT_ID, END_POINT);

CREATE INDEX ix_am_certificate_metadata_fingerprint ON AM_CERTIFICATE_METADATA (TENANT_ID, FINGERPRINT_SHA256);

CREATE INDEX ix_am_certificate_metadata_key ON AM_CERTIFICATE_METADATA (TENANT_ID, KEY_SHA256);

CREATE INDEX ix_am_certificate_metadata_not_after ON AM_CERTIFICATE_METADATA (TENANT_ID, NOT_AFTER);

CREATE INDEX ix_am_certificate_metadata_expiry ON AM_CERTIFICATE_METADATA (EXPIRY_ANNOUNCED, NOT_AFTER);

CREATE TABLE gateway_report (
    id INTEGER NOT NULL,
    gateway VARCHAR(255) NOT NULL,
    environment VARCHAR(255) NOT NULL,
    generation BIGINT NOT NULL,
    entries_sha256 VARCHAR(64),
    phase VARCHAR(16) NOT NULL,
    code VARCHAR(64),
    detail TEXT,
    at DATETIME NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(gateway) REFERENCES gateway (name),
    FOREIGN KEY(environment) REFERENCES environment (name)
);

CREATE INDEX ix_gateway_report_gateway_generation ON gateway_report (gateway, generation);

CREATE TABLE idempotency_key (
    tenant_id INTEGER NOT NULL,
    principal VARCHAR(255) NOT NULL,
    "key" VARCHAR(255) NOT NULL,
    request_sha256 VARCHAR(64) NOT NULL,
    answer JSON NOT NULL,
    created_at DATETIME NOT NULL,
    PRIMARY KEY (tenant_id, principal, "key")
);

CREATE INDEX ix_idempotency_key_created_at ON idempotency_key (created_at);

CREATE TABLE operation_generation (
    operation VARCHAR(36) NOT NULL,
    environment VARCHAR(255) NOT NULL,
    generation BIGINT NOT NULL,
    PRIMARY KEY (operation, environment),
    FOREIGN KEY(environment) REFERENCES environment (name),
    FOREIGN KEY(operation) REFERENCES operation (id)
);

CREATE INDEX ix_operation_generation_environment_generation ON operation_generation (environment, generation);

INSERT INTO environment (name, type, description) VALUES ('default', 'hybrid', '');

INSERT INTO tenant (id, domain, on_expiry) VALUES (-1234, 'carbon.super', 'keep');

INSERT INTO truststore (environment, generation, entries, entries_sha256) VALUES ('default', 0, 0, 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');

INSERT INTO audit_tail (id, sequence, sha256) VALUES (1, 0, '0000000000000000000000000000000000000000000000000000000000000000');

INSERT INTO alembic_version (version_num) VALUES ('0001');

COMMIT;
