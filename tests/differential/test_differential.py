"""Do we answer as Postfix does, but where the specifications page says why not?"""

import asyncio

import pytest
from bench.peers import postfix

from tests.differential.compare import compare
from tests.differential.dialogues import CONTENTS, ENDS, GREETINGS, RECIPIENTS, SENDERS, STRAYS, dialogues
from tests.differential.explained import reason
from tests.differential.sides import beside_postfix, ourselves

DIALOGUES = 200


def test_same_seed_same_dialogues():
    """A difference is found again by its seed and number; enough of them say everything there is to say."""
    made = list(dialogues(1, 3000))
    assert made[:50] == list(dialogues(1, 50))
    labels = {text for one in made for step in one.steps for text in (step.label, step.content_label)}
    for prefix, names in (("", GREETINGS), ("MAIL ", SENDERS), ("RCPT ", RECIPIENTS), ("stray ", STRAYS)):
        assert {prefix + name for name in names} <= labels
    assert {f"content {name}" for name in CONTENTS} <= labels
    assert {f"content smuggled behind {name}" for name in ENDS} <= labels


@pytest.mark.peer
@pytest.mark.skipif(postfix.missing() is not None, reason=f"Postfix: {postfix.missing()}")
def test_differences_are_explained():
    """Every reply class and every arrival is Postfix's, or has a reason; nothing is smuggled through us."""

    async def run():
        async with beside_postfix() as them, ourselves() as us:
            return await compare(them, us, dialogues(7, DIALOGUES))

    tally = asyncio.run(run())
    assert not [one for one in tally.differences if not reason(*one)]
    assert tally.smuggled[1] == 0
    assert tally.arrivals > DIALOGUES // 4
