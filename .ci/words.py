"""Words that the texts of this project do not use, with file and line: `make words`.

They are a private dialect where the field has terms (docs/glossary.md). Product, documentation and
root files are checked whole, identifiers in any case included; of tests only the names.
Needs git and the standard library. Exit code 1 if a word was found.

    python .ci/words.py [--count] [FILE …]
"""

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

WORDS = ("told", "nobody", "whoever", "mend", "mends", "mended", "mending", "stranger", "strangers")
WORDS += ("somebody", "goes on", "gone on with", "a person's word")
# What quotes others: requests, texts for models, what they wrote, and schemas that were released.
ALLOWED = {
    ".ci/words.py": WORDS,
    "CHANGELOG.md": ("mend",),  # the former name of a field
    "LICENSE": WORDS,
    "*.lock": WORDS,
    "bench/results/*": WORDS,
    "db/embedded/cluster.py": ("nobody",),  # the account of Unix
    "graph/sandbox/landlock_launcher.py": ("nobody",),
    "db/migrations/*": WORDS,
    "graph/prompts/*.md": WORDS,
    "optimizer/dataset/golden/*.jsonl": WORDS,
    "optimizer/instructions/*.md": WORDS,
    "server/demo/requests.jsonl": WORDS,
    "simulator/bank/*": WORDS,
    "simulator/cues/worker.py": ("mend",),  # in a pattern for what prompts may say
    "simulator/defects.toml": WORDS,
    "simulator/prompt_parsing.py": ("somebody",),  # a word of requests
}
_TEST_NAMES = re.compile(r"^\s*(?:async\s+)?(?:def|class)\s+(\w+)", re.MULTILINE)


def _pattern(word: str) -> str:
    """Match a word in prose, snake_case, CamelCase and capitals, and across line breaks."""
    joint = r"[\s_#*/-]+"
    title = "".join(part.capitalize() for part in word.split())
    small = joint.join(map(re.escape, word.split()))
    first = rf"[{word[0]}{word[0].upper()}]{small[1:]}"
    return (
        rf"(?<![A-Za-z]){first}(?![a-z])|(?<![A-Z]){title}(?![a-z])"
        rf"|(?<![A-Za-z]){small.upper().replace(joint.upper(), joint)}(?![A-Za-z])"
    )


_PATTERNS = {word: re.compile(_pattern(word)) for word in WORDS}


def found_in(path: str, text: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the word of each occurrence.

    Args:
        path: of the file, relative to the repository; it decides what is allowed.
        text: the file's content.
    """
    allowed = {word for glob, words in ALLOWED.items() if fnmatch(path, glob) for word in words}
    if path.startswith("tests/"):
        parts = [(0, path), *((m.start(1), m[1]) for m in _TEST_NAMES.finditer(text))]
    else:
        parts = [(0, text)]
    for word in WORDS:
        for start, part in parts if word not in allowed else ():
            for match in _PATTERNS[word].finditer(part):
                yield text.count("\n", 0, start + match.start()) + 1, word


def main(arguments: list[str]) -> int:
    """Print what is found in the given files, by default in all; return the exit code."""
    counting = "--count" in arguments
    root = Path(__file__).resolve().parents[1]
    command = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    listed = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    paths = [each for each in arguments if each != "--count"] or listed.stdout.split("\0")
    counts: Counter[str] = Counter()
    for path in sorted(set(filter(None, paths))):
        file = root / path
        if not file.is_file() or file.is_symlink():
            continue
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # an image
        for line, word in sorted(found_in(path, text)):
            counts["/".join(path.split("/")[:2])] += 1
            if not counting:
                print(f"{path}:{line}: {word}")  # noqa: T201
    for room, count in counts.most_common() if counting else ():
        print(f"{count:5} {room}")  # noqa: T201
    if counts:
        print(f"{counts.total()} words: docs/glossary.md has the terms", file=sys.stderr)  # noqa: T201
    return 1 if counts else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
