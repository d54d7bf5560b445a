"""The demo: a prompt is broken, healed, and the proof is shown."""
