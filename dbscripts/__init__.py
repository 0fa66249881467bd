"""The SQL scripts in `apimgt/`, made from the migrations: `make dbscripts`."""
