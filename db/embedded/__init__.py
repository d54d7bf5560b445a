"""A Postgres of this package's own, for a laptop and for tests."""
