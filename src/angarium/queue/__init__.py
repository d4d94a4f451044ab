"""WHOSE TURN? Messages between their 250 and their end."""
