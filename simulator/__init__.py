"""A simulated Gemini on its real wire. It imports nothing of the product, nor the reverse."""

VERSION = "1.0"
