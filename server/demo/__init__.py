"""The demo: a prompt is broken and healed, and the evidence is shown."""
