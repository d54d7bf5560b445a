"""Announcements of candidates that wait for approval: by webhook, as a file, to a command."""
