"""Sandboxes for untrusted Python: the interface, the backends and their selection."""
