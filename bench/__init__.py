"""`make bench`: what a message costs here, beside peers and beside the floor. See README.md here."""
