"""What one worker counts of all its sessions: by network, and the content that they hold."""

from __future__ import annotations

from angarium.net.limits import Budget, Crowd, Tally

AUTH_WINDOW = 600.0
"""Seconds in which failed AUTH attempts of a network are counted."""
RECIPIENT_WINDOW = 3600.0
"""The same for refused recipients."""


class Watch:
    """The counts; `content_memory` octets of content may come in at a time."""

    def __init__(self, content_memory: int) -> None:
        self.auth_failures = Tally(AUTH_WINDOW)
        self.refused_recipients = Tally(RECIPIENT_WINDOW)
        self.crowd = Crowd()
        self.content = Budget(content_memory)
