"""Decisions of a healing as pure functions: no database, no model."""
