"""Rules for what a candidate prompt may contain."""
