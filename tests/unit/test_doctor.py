"""`selfheal doctor` where its own checks break: findings, and no traceback."""

import json

import pytest
from click.testing import CliRunner

from selfheal.server.cli.service import doctor
from selfheal.server.commands.errors import CommandError


@pytest.mark.parametrize(
    ("broken", "names"),
    [
        (("open_for_reading", "open_model", "survey"), {"database", "model", "sandbox"}),
        (("open_for_reading",), {"database"}),
    ],
)
def test_a_check_that_breaks_is_a_finding_and_ends_no_other(
    broken: tuple[str, ...], names: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object) -> None:
        raise RuntimeError("a library's own words, with a password")

    for function in broken:
        monkeypatch.setattr(f"selfheal.server.commands.doctor.{function}", breaks)
    result = CliRunner().invoke(doctor, ["--json"], standalone_mode=False)
    assert isinstance(result.exception, CommandError)
    assert "password" not in result.output
    found = {each["name"]: each["detail"] for each in json.loads(result.stdout)}
    failed = {name for name, detail in found.items() if detail == "the check failed: RuntimeError"}
    assert failed == names
    assert "proposer" in found
