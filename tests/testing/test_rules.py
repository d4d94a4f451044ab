"""The rules of a sink: their grammar, and what they decide."""

import pytest

from angarium.testing.rules import ACCEPT, Action, Rule, RuleError, Rules, Verdict, parse_duration, parse_rule

REFUSE, DELAY, HANG, DROP = Action.REFUSE, Action.DELAY, Action.HANG, Action.DROP


@pytest.mark.parametrize(
    ("action", "text", "stage", "chance", "value"),
    [
        (REFUSE, "rcpt=450 4.2.1 Try later:0.1", "rcpt", 0.1, b"450 4.2.1 Try later"),
        (REFUSE, "mail=552 a=b: c", "mail", 1.0, b"552 a=b: c"),
        (REFUSE, "connect", "connect", 1.0, b"450 4.3.2 Try later"),
        (DELAY, "content=500ms", "content", 1.0, 0.5),
        (DELAY, "rcpt=2 s:25%", "rcpt", 0.25, 2.0),
        (HANG, "data:1%", "data", 0.01, None),
        (DROP, " quit ", "quit", 1.0, None),
    ],
)
def test_rules_are_read(action: Action, text: str, stage: str, chance: float, value: object):
    """Each form of a rule has one meaning."""
    rule = parse_rule(action, text)
    assert (rule.action, rule.stage, rule.chance) == (action, stage, chance)
    assert value in {None, rule.reply, rule.seconds}


@pytest.mark.parametrize(
    ("pattern", "fits", "fits_not"),
    [
        ("*@slow.example", "A@SLOW.example", "a@fast.example"),
        ("user?@x", "user1@x", "user@x"),
        ("bounces+a=b@x.example", "bounces+a=b@x.example", "bounces@x.example"),
        ("*@[IPv6:::1]", "u@[IPv6:::1]", "u@[IPv6:::2]"),
        ("a.c@x", "a.c@x", "abc@x"),
    ],
)
def test_patterns_match_whole_addresses(pattern: str, fits: str, fits_not: str):
    """Patterns are taken whole and without regard to case; only `*` and `?` are special."""
    rule = parse_rule(DELAY, f"rcpt:{pattern}=1s")
    assert rule.fits([fits_not, fits])
    assert not rule.fits([fits_not])


@pytest.mark.parametrize(
    ("action", "text", "hint"),
    [
        (REFUSE, "rcpt=250 fine", "not a rule"),
        (REFUSE, "nowhere=450 x", "not a stage"),
        (DELAY, "rcpt", "not a rule"),
        (DELAY, "rcpt=soon", "not a duration"),
        (HANG, "rcpt=3", "not a rule"),
        (HANG, "rcpt:3", "no probability"),
        (DROP, "", "not a rule"),
    ],
)
def test_what_is_no_rule_is_explained(action: Action, text: str, hint: str):
    """A rule that means nothing raises RuleError, and the text says why."""
    with pytest.raises(RuleError, match=hint):
        parse_rule(action, text)


def test_durations():
    """Seconds are the unit of a bare number."""
    assert [parse_duration(text) for text in ("0.5", "20ms", "3s", "2m", "1.5 m")] == [0.5, 0.02, 3, 120, 90]


def test_delays_add_up_before_the_first_other_rule():
    """All delays that fit are waited for; of the rest the first that fits decides."""
    rules = Rules(
        parse_rule(action, text)
        for action, text in [(DELAY, "rcpt=1s"), (DELAY, "rcpt:a@*=2s"), (DROP, "rcpt:b@*"), (HANG, "rcpt")]
    )
    assert rules.verdict("rcpt", ["a@x"]) == Verdict(3.0, HANG)
    assert rules.verdict("rcpt", ["b@x"]) == Verdict(1.0, DROP)
    assert rules.verdict("mail", ["b@x"]) is ACCEPT


def test_chances_are_kept_and_repeatable():
    """A chance of a tenth strikes about every tenth time, and the same times for the same seed."""
    rule = Rule(REFUSE, "rcpt", chance=0.1, reply=b"450 no")
    first, second = Rules([rule], seed=7), Rules([rule], seed=7)
    struck = [first.verdict("rcpt", ["a@x"]).action is REFUSE for _ in range(2000)]
    assert struck == [second.verdict("rcpt", ["a@x"]).action is REFUSE for _ in range(2000)]
    assert 140 < sum(struck) < 260


@pytest.mark.parametrize(
    ("recipient", "reply"),
    [
        ("full@x", b"452 4.2.2"),
        ("Full-Enh@x", b"452 4.1.1"),
        ("tempfail@x", b"400"),
        ("permfail@x", b"500"),
        ("450-later@x", b"450 4."),
        ("550-never@x", b"550 5."),
        ("421-away@x", b"421 4."),
        ("451@x", b""),
        ("fuller@x", b""),
        ("250-ok@x", b""),
    ],
)
def test_names_ask_for_refusals(recipient: str, reply: bytes):
    """Some recipients are refused as their local part asks; with `by_name=False` nobody is."""
    assert Rules().verdict("rcpt", [recipient]).reply.startswith(reply)
    assert Rules(by_name=False).verdict("rcpt", [recipient]) is ACCEPT
