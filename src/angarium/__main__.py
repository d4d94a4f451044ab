"""`python -m angarium`: the command `angarium`."""

from angarium.cli import main

main()
