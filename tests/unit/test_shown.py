"""Tables of commands: whole cells, a line per row, and no control characters."""

import pytest

from selfheal.server.cli.output import print_table


def test_a_row_is_one_line_however_narrow_the_terminal_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    reason = "the proof is void: " + 30 * "version 1 went live, "
    print_table(("healing", "reason"), [("01a20963-36b2-730d-b778-76bd86d3ff47", reason)])
    heading, row = capsys.readouterr().out.splitlines()
    assert heading.split() == ["healing", "reason"]
    assert row.strip() == f"01a20963-36b2-730d-b778-76bd86d3ff47  {reason.strip()}"


def test_control_characters_of_untrusted_text_are_replaced(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_table(("request",), [("[red]\x1b[31m two\nlines :x:",)])
    _, row = capsys.readouterr().out.splitlines()
    assert row.strip() == "[red]\N{REPLACEMENT CHARACTER}[31m two lines :x:"
