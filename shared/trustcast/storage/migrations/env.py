"""Alembic's entry: runs the migrations on the connection that `migrate.upgrade` opened, or writes them as a script."""

from __future__ import annotations

from alembic import context

from trustcast.storage.tables import metadata

if context.is_offline_mode():  # `make dbscripts`, which says for which database
    context.configure(target_metadata=metadata, literal_binds=True, **context.config.attributes["script"])
    with context.begin_transaction():
        context.run_migrations()
else:
    context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
    context.run_migrations()
