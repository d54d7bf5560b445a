"""More of the same at more moments: run by `make chaos`, left out of `make test`."""

from typing import Any

import pytest


def chaos_only(*values: Any) -> list[Any]:
    """Return the values as parameters that only `make chaos` takes."""
    return [pytest.param(each, marks=pytest.mark.chaos) for each in values]
