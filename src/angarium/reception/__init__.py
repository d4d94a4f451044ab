"""THE FRONT DOOR: listeners and sessions that receive mail."""
