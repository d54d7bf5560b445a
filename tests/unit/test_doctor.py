"""`selfheal doctor` where its own checks break: findings, and no traceback."""

import json

import pytest
from click.testing import CliRunner

from server.cli.service import doctor


@pytest.mark.parametrize(
    ("broken", "names"),
    [
        (("open_data", "open_model", "survey"), {"database", "model", "sandbox"}),
        (("open_data",), {"database"}),
    ],
)
def test_a_check_that_breaks_is_a_finding_and_ends_no_other(
    broken: tuple[str, ...], names: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object) -> None:
        raise RuntimeError("a library's own words, with a password")

    for function in broken:
        monkeypatch.setattr(f"server.commands.doctor.{function}", breaks)
    result = CliRunner().invoke(doctor, ["--json"])
    assert result.exit_code == 1
    assert "password" not in result.output
    found = {each["name"]: each["detail"] for each in json.loads(result.stdout)}
    failed = {name for name, detail in found.items() if detail == "the check failed: RuntimeError"}
    assert failed == names
    assert "proposer" in found
