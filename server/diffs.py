"""What changed between two prompts."""

import difflib

from db.prompts import Prompt


def unified(older: Prompt, newer: Prompt) -> str:
    """Return a unified diff, empty if the texts are the same."""
    lines = difflib.unified_diff(
        older.text.splitlines(),
        newer.text.splitlines(),
        f"{older.agent} {older.version}",
        f"{newer.agent} {newer.version}",
        lineterm="",
    )
    return "\n".join(lines)
