"""Fixtures of the queue's tests: whole servers, in real time and in time that jumps."""

from tests.e2e.conftest import serve, serve_in_jumps

__all__ = ["serve", "serve_in_jumps"]
