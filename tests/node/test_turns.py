"""Who accepts whose connections, as the supervisor deals it out."""

from angarium.node.turns import Turns


def dealt(workers=3):
    """Turns of so many workers that serve, and what each was told last."""
    told = {}
    turns = Turns(workers, ["in"], lambda number, turn: told.__setitem__(number, turn["in"]))
    for number in range(workers):
        turns.join(number)
    return turns, told


def test_each_its_own():
    """While all have room, each worker accepts from its own socket alone."""
    assert dealt()[1] == {0: [0], 1: [1], 2: [2]}


def test_who_is_full_leaves_its_connections_to_the_others():
    """Connections of a worker without room go to those that have some; with room again it has its own."""
    turns, told = dealt()
    turns.hear(1, "in", has_room=False)
    assert told == {0: [0, 1], 1: [], 2: [1, 2]}
    assert (turns.full(1), turns.full(0)) == (["in"], [])
    turns.hear(1, "in", has_room=True)
    assert told == {0: [0], 1: [1], 2: [2]}


def test_where_nobody_has_room_each_answers_its_own():
    """The last one that is full is told too, and so is each before it, since somebody must answer."""
    turns, told = dealt(2)
    turns.hear(0, "in", has_room=False)
    turns.hear(1, "in", has_room=False)
    assert told == {0: [0], 1: [1]}


def test_who_is_not_there_leaves_its_connections():
    """Those of a worker that has ended go to the others, also where these are full."""
    turns, told = dealt(2)
    turns.leave(1)
    assert told[0] == [0, 1]
    turns.hear(0, "in", has_room=False)
    assert told[0] == [0, 1]
    turns.join(1)
    assert told == {0: [], 1: [0, 1]}


def test_who_asks_is_told_whatever_has_changed():
    """A worker rests until it is told: so it is told, even where its turn is what it was."""
    turns, told = dealt(1)
    told.clear()
    turns.hear(0, "in", has_room=False)
    assert told == {0: [0]}
