"""Postgres: connections, migrations, and every query. Imports nothing of ours."""
