"""net.rights: who the process may become, and what that user can do."""

import os
import sys

import pytest

from angarium.net.rights import interpreter_trouble


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_a_user_who_cannot_run_the_interpreter(tmp_path, monkeypatch):
    """Where workers could not be begun as `user`, it is said who cannot run what, and what to do."""
    (tmp_path / "own").mkdir(mode=0o700)
    (tmp_path / "own/python").symlink_to(sys.executable)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "own/python"))
    trouble = interpreter_trouble("nobody")
    assert trouble.startswith(f"user 'nobody' cannot run {tmp_path}/own/python, ")
    assert trouble.endswith("or change `user`")


def test_a_user_who_can():
    """Who serves as the user who asks has nothing to mend."""
    assert interpreter_trouble(None) == ""
    if os.getuid() == 0:
        assert interpreter_trouble("root") == ""
