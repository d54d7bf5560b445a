"""A stand-in for Gemini on its real wire. Imports nothing of ours, and nothing imports it."""

VERSION = "1.0"
