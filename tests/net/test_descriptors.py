"""A flood of connections never takes the descriptors that the spool needs."""

from __future__ import annotations

import resource

import pytest

from angarium.net.descriptors import RESERVED, raise_limit, room_for_sessions


@pytest.fixture
def limits():
    """The process's own limits, put back afterwards."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize(("soft", "room"), [(1024, 512), (RESERVED + 3000, 3000)])
def test_sessions_leave_room_for_the_rest(limits, soft, room):
    """Sessions get what is left of the limit after deliveries, spool and log; half of a small one."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, limits[1]), limits[1]))
    assert room_for_sessions() == room


def test_the_limit_is_raised_as_far_as_it_goes(limits):
    """A server takes all the descriptors that the system grants."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, limits[1]))
    raise_limit()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (limits[1], limits[1])
