"""Angarium: a programmable mail transfer agent whose decisions can be explained, proved and tested."""
