"""What may go wrong with the spool, as its callers see it. None of them loses what was answered with 250."""

from __future__ import annotations


class SpoolError(Exception):
    """The spool could not do it: the medium fails, or content is damaged. A client is told `452 4.3.1`."""


class SpoolFull(SpoolError):  # noqa: N818 - the name says the state
    """There is no space for it now. A client is told `452 4.3.1`."""


class SpoolLocked(SpoolError):  # noqa: N818
    """Another process holds the spool folder."""
