"""The same dialogues with two servers: what differs has to be explained (`explained`)."""
