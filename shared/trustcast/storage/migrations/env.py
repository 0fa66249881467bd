"""Alembic's entry: runs the migrations on the connection that `migrate.upgrade` opened."""

from __future__ import annotations

from alembic import context

from trustcast.storage.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
