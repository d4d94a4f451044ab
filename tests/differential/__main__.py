"""`python -m tests.differential [COUNT] [SEED] [LINE OF main.cf …]`: the long run, and what differs."""

import asyncio
import sys
import time

from bench.peers import postfix

from tests.differential.compare import Tally, compare
from tests.differential.dialogues import dialogues
from tests.differential.explained import reason
from tests.differential.sides import beside_postfix, ourselves


async def _run(count: int, seed: int, more: str) -> Tally:
    async with beside_postfix(more) as them, ourselves() as us:
        return await compare(them, us, dialogues(seed, count))


def _print(tally: Tally) -> bool:
    """The table; true if every difference is explained."""
    print(f"{tally.dialogues} dialogues, {tally.replies} replies, {tally.alike} dialogues alike,")
    print(f"{tally.arrivals} arrivals compared; smuggled: {tally.smuggled[0]} and {tally.smuggled[1]}")
    known = True
    for difference, number in sorted(tally.differences.items()):
        why = reason(*difference)
        known = known and bool(why)
        print(
            f"{number:6} | {' | '.join(difference)} | {why or 'UNEXPLAINED'} | {tally.examples[difference]}"
        )
    return known


def main() -> None:
    """Compare, print, and fail where something differs without a reason."""
    if (missing := postfix.missing()) is not None:
        print(f"differential: skipped, Postfix is {missing}")
        return
    count, seed = (int(sys.argv[place]) if len(sys.argv) > place else default for place, default in _DEFAULTS)
    started = time.monotonic()
    tally = asyncio.run(_run(count, seed, "\n".join(sys.argv[3:])))
    known = _print(tally)
    print(f"Postfix {postfix.version()}, seed {seed}, {time.monotonic() - started:.0f} s")
    sys.exit(0 if known and not tally.smuggled[1] else 1)


_DEFAULTS = ((1, 10_000), (2, 1))

if __name__ == "__main__":
    main()
