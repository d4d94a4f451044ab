"""reception.record: which Message-ID a Reception keeps."""

from __future__ import annotations

from pathlib import Path

import pytest

from angarium.policy.config import LogConfig
from angarium.reception.record import kept_of


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ([b"From: a@b\r\nMessage-ID: <1@a.org>\r\n\r\nhello"], "<1@a.org>"),
        ([b"message-id:\r\n <1@a.org>\r\n\r\n"], "<1@a.org>"),
        ([b"X-Added: 1\r\n", b"Message-Id: <1@a.org>\r\n", b"\r\nhello"], "<1@a.org>"),
        ([b"From: a@b\r\n\r\nMessage-ID: <in-the-body@a.org>"], None),
        ([b"\r\nMessage-ID: <in-the-body@a.org>"], None),
        ([b"X-Message-ID: <1@a.org>\r\n\r\n"], None),
        ([b"Message-ID: no brackets\r\n\r\n"], None),
        ([], None),
    ],
)
def test_the_message_id_is_that_of_the_header_section(content: list[bytes], expected: str | None) -> None:
    """The field counts wherever it stands in the header section, folded or not, and nowhere else."""
    assert kept_of(content, LogConfig(dir=Path())).message_id == expected
