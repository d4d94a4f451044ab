"""Tests of the commands, as programs of their own."""
