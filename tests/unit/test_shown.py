"""What a terminal is shown of strangers' text."""

from server.commands.shown import plain


def test_nothing_that_a_terminal_obeys_gets_through() -> None:
    hostile = "a\x1b]0;title\x07b\x1b[2Jc\rd\u202ee\x9b31mf\n\tg"
    shown = plain(hostile)
    assert "\x1b" not in shown
    assert not set(shown) & {"\x07", "\r", "\x9b", "\u202e"}
    assert shown.endswith("f\n\tg")
    assert plain("ünïcode 🐍 ok") == "ünïcode 🐍 ok"
