"""Postgres: connections, migrations, all queries. Imports no other package of ours."""
