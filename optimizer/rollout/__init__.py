"""Releases: approval, canary, monitoring, rollback."""
