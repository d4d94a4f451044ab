"""Fuzzing: what must hold for any octets (`targets`), and a program that looks for octets that break it."""
