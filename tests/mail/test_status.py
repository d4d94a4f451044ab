"""Replies and enhanced status codes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from angarium.mail.status import EnhancedStatus, Reply, reply, split_enhanced


@pytest.mark.parametrize(
    ("text", "status", "rest"),
    [
        ("5.1.1 No such user", "5.1.1", "No such user"),
        ("2.0.0", "2.0.0", ""),
        ("4.7.999 x", "4.7.999", "x"),
        ("3.1.1 x", None, "3.1.1 x"),
        ("5.1.1.1 x", None, "5.1.1.1 x"),
        ("5.1.1000 x", None, "5.1.1000 x"),
        ("no", None, "no"),
    ],
)
def test_split(text: str, status: str | None, rest: str) -> None:
    """A leading enhanced status code is split off; nothing else is taken for one."""
    found, remainder = split_enhanced(text)
    assert (str(found) if found else None, remainder) == (status, rest)


def test_parse() -> None:
    """An enhanced status code reads back as itself; anything more is refused."""
    assert EnhancedStatus.parse("5.7.1") == EnhancedStatus(5, 7, 1)
    for text in ("5.7", "5.7.1 x", ""):
        with pytest.raises(ValueError, match="not an enhanced"):
            EnhancedStatus.parse(text)


def test_reply() -> None:
    """A reply keeps its enhanced code apart, and writes it before every line."""
    answer = reply(550, "5.1.1 no such user\n5.1.1 here")
    assert answer == Reply(550, EnhancedStatus(5, 1, 1), "no such user\nhere")
    assert str(answer) == "550 5.1.1 no such user\n5.1.1 here"
    assert str(reply(250, "")) == "250 "


@given(st.text())
def test_no_control(text: str) -> None:
    """No text of a reply holds a control character but LF."""
    assert all(c == "\n" or (c >= " " and c != "\x7f") for c in reply(250, text).full_text)


@pytest.mark.parametrize("code", [0, 199, 600])
def test_no_codes(code: int) -> None:
    """Codes that are no replies are refused."""
    with pytest.raises(ValueError, match="not a reply code"):
        reply(code, "x")


@pytest.mark.parametrize(
    ("code", "kind"),
    [(250, "is_positive"), (354, "is_intermediate"), (450, "is_transient"), (550, "is_permanent")],
)
def test_classes(code: int, kind: str) -> None:
    """Each reply belongs to exactly one class."""
    kinds = ["is_positive", "is_intermediate", "is_transient", "is_permanent"]
    answer = reply(code, "x")
    assert [name for name in kinds if getattr(answer, name)] == [kind]
    assert answer.is_refusal is (code >= 400)
    assert not answer.closes
    assert reply(421, "x").closes
