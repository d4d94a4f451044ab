# ruff: noqa: E501 - samples are quoted as they come
"""Replies get the class that they mean, by rules that can be read, ordered and replaced."""

from __future__ import annotations

import pytest

from angarium.reports.classify import Classifier, Verdict
from angarium.reports.rule_file import RuleError
from angarium.reports.rules import SHIPPED, shipped
from angarium.reports.values import Reply
from tests.reports.judged import JUDGED
from tests.reports.replies import REPLIES


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier.load(shipped())


CASES = [
    ("550 5.1.1 <a@example.net>: Recipient address rejected: User unknown in local recipient table", "InvalidRecipient"),
    ("550 No such user here", "InvalidRecipient"),
    ("550 Requested action not taken: mailbox unavailable", "InvalidRecipient"),
    ("550 5.4.1 Recipient address rejected: Access denied", "InvalidRecipient"),
    ("550 utilisateur inconnu", "InvalidRecipient"),
    ("554 delivery error: dd This user doesn't have an example.com account", "InvalidRecipient"),
    ("550 5.2.1 The email account that you tried to reach is disabled", "InactiveMailbox"),
    ("550 account suspended", "InactiveMailbox"),
    ("552 5.2.2 Mailbox full", "QuotaIssues"),
    ("452 4.2.2 The recipient's inbox is out of storage space", "QuotaIssues"),
    ("552 5.3.4 Message size exceeds fixed maximum message size", "QuotaIssues"),
    ("550 5.1.8 <a@example.net>: Sender address rejected: Domain not found", "InvalidSender"),
    ("553 sender verify failed", "InvalidSender"),
    ("550 5.7.26 Unauthenticated email from example.net is not accepted due to domain's DMARC policy", "AuthenticationFailed"),
    ("550 5.7.1 SPF check failed", "AuthenticationFailed"),
    ("554 5.7.1 Client host rejected: cannot find your reverse hostname", "AuthenticationFailed"),
    ("550 5.7.1 Relaying denied", "RelayDenied"),
    ("554 5.7.1 <a@example.net>: Relay access denied", "RelayDenied"),
    ("553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", "RelayDenied"),
    ("554 5.7.1 Service unavailable; Client host [192.0.2.9] blocked using zen.spamhaus.org", "SpamBlock"),
    ("421 4.7.0 [TSS04] Messages from 192.0.2.9 temporarily deferred due to unexpected volume or user complaints", "SpamBlock"),
    ("550 SC-001 Unfortunately, messages from 192.0.2.9 weren't sent", "SpamBlock"),
    ("450 4.2.0 <a@example.net>: Recipient address rejected: Greylisted", "TransientFailure"),
    ("550 5.7.1 This message has been identified as spam", "SpamContent"),
    ("554 5.7.1 Message contains a virus", "VirusRelated"),
    ("552 5.7.0 This message was blocked because its content presents a potential security issue", "ProhibitedAttachment"),
    ("450 4.7.1 Greylisting in action, please come back in 00:05:00", "TransientFailure"),
    ("451 4.7.1 greylisted, try again in 300 seconds", "TransientFailure"),
    ("450 4.7.1 try again in 300 seconds", "TransientFailure"),
    ("550 Das Postfach existiert nicht", "InvalidRecipient"),
    ("550 Boîte aux lettres inconnue", "InvalidRecipient"),
    ("550 caixa postal inexistente", "InvalidRecipient"),
    ("550 casella di posta inesistente", "InvalidRecipient"),
    ("550 宛先が見つかりません", "InvalidRecipient"),
    ("550 Brak takiego użytkownika", "InvalidRecipient"),
    ("550 Absender gesperrt", "SpamBlock"),
    ("550 abgelehnt wegen Spamverdacht", "SpamContent"),
    ("554 5.7.1 [CS01] Message content rejected", "SpamContent"),
    ("550 5.1.2 Host unknown", "BadDomain"),
    ("556 5.1.10 Recipient address has null MX", "BadDomain"),
    ("551 5.4.7 message expired after 5 days", "MessageExpired"),
    ("451 4.4.1 connect to mx.example.net[192.0.2.9]:25: Connection timed out", "NoAnswerFromHost"),
    ("421 4.4.2 Connection dropped", "BadConnection"),
    ("554 5.4.6 Too many hops", "RoutingErrors"),
    ("452 4.5.3 Too many recipients", "TooManyRecipients"),
    ("501 5.5.4 Invalid arguments", "ProtocolErrors"),
    ("451 4.3.0 Temporary lookup failure", "TransientFailure"),
    ("451 4.5.4 x", "ProtocolErrors"),
    ("550 5.2.2 x", "QuotaIssues"),
    ("551 4.7.17 x", "InvalidRecipient"),
    ("551 4.7.18 x", "BadDomain"),
    ("525 4.7.13 x", "InactiveMailbox"),
    ("550 5.7.27 x", "InvalidSender"),
    ("550 hic sunt leones", "Uncategorized"),
    ("", "Uncategorized"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_shipped_rules(classifier: Classifier, text: str, expected: str) -> None:
    """The shipped rules know what mail systems and providers say."""
    assert classifier.classify(text).bounce_class == expected


@pytest.mark.parametrize(
    ("text", "dead"),
    [
        ("550 5.1.1 User unknown", "yes"),
        ("450 4.1.1 User unknown", "unknown"),
        ("552 5.2.2 Mailbox full", "no"),
        (
            "550 5.1.1 <a@b>: Recipient address rejected: undeliverable address: host mx said: 552 5.2.2 mailbox full",
            "no",
        ),
        ("550 5.1.1 <a@b>: undeliverable address: host mx said: 550 5.1.1 User unknown", "yes"),
        ("554 5.7.1 blocked using zen.spamhaus.org", "no"),
        ("550 5.2.1 account disabled", "unknown"),
        ("550 hic sunt leones", "unknown"),
    ],
)
def test_dead_address(classifier: Classifier, text: str, dead: str) -> None:
    """An address is dead only by a permanent reply that says so."""
    assert classifier.classify(text).dead_address == dead


def test_the_rule_is_named(classifier: Classifier) -> None:
    """A verdict names pattern, file and line."""
    rule = classifier.classify("556 x").rule
    assert rule is not None
    texts = dict(shipped())
    assert rule.line is not None
    assert rule.pattern in texts[rule.file].split("\n")[rule.line - 1]


def test_every_rule_knows_its_line(classifier: Classifier) -> None:
    """The line of each shipped pattern is found, and they stand in the order of the files."""
    places = [(SHIPPED.index(rule.file), rule.line or 0) for rule in classifier.rules]
    assert all(line for _, line in places)
    assert places == sorted(places)


def test_the_first_match_wins() -> None:
    """Earlier files win over later ones, earlier patterns over later ones, whatever the class is called."""
    own = ("own.toml", "[rules]\nMine = ['mailbox', 'full$']\nOther = ['full']\n")
    verdict = Classifier.load([own, *shipped()]).classify("552 mailbox full")
    assert (verdict.bounce_class, verdict.rule.pattern if verdict.rule else None) == ("Mine", "mailbox")
    assert Classifier.load([*shipped(), own]).classify("552 mailbox full").bounce_class == "QuotaIssues"


def test_own_files_may_say_what_is_dead() -> None:
    """`dead_address` of an earlier file wins."""
    own = ("own.toml", "[rules]\nGone = ['gone']\n[dead_address]\nGone = 'yes'\nInvalidRecipient = 'no'\n")
    mine = Classifier.load([own, *shipped()])
    assert mine.classify("550 gone") == Verdict("Gone", mine.rules[0], "yes")
    assert mine.classify("550 5.1.1 user unknown").dead_address == "no"


def test_json_files() -> None:
    """The same shape in JSON."""
    mine = Classifier.load([("own.json", '{"rules": {"Mine": ["a\\\\d"]}}')])
    assert mine.classify("550 a1").bounce_class == "Mine"
    assert mine.rules[0].line == 1


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        ("own.toml", "[rules]\nMine = ['(']\n", "own.toml:2: not an RE2 pattern"),
        ("own.toml", "[rules]\nMine = ['(?=x)']\n", "own.toml:2: not an RE2 pattern"),
        ("own.toml", "[rules\n", "own.toml:1: not valid"),
        (
            "own.toml",
            "# mine\n[rule]\nMine = ['a']\n",
            "own.toml:2: no table of a rule file: `rule`; did you mean `rules`",
        ),
        ("own.toml", "rules = 5\n", "own.toml:1: `rules` is a table"),
        ("own.toml", "[rules]\nA = ['a']\nB = 'b'\n", "own.toml:3: `B` is a list of patterns"),
        ("own.toml", "[rules]\nA = [\n'a',\n5,\n]\n", "own.toml:4: a pattern of `A` is text"),
        (
            "own.toml",
            "[rules]\nA = ['a']\n[dead_address]\nA = 'maybe'\n",
            "own.toml:4: `A` is `yes`, `no` or `unknown`",
        ),
        (
            "own.toml",
            "[rules]\nA = ['a']\n[dead_address]\nA = ['yes']\n",
            "own.toml:4: `A` is `yes`, `no` or `unknown`",
        ),
        ("own.toml", "[rules]\nA = ['a',\n '']\n", "own.toml:3: an empty pattern"),
        ("own.toml", "[rules]\nA = ['a', ' ']\n", "own.toml:2: an empty pattern"),
        ("own.toml", "[rules]\nA = ['a',\n 'x*']\n", "own.toml:3: the pattern 'x\\*' needs no character"),
        ("own.toml", "[rules]\nA = ['\\b(foo|)']\n", "own.toml:2: the pattern .* needs no character"),
        (
            "own.toml",
            "[rules]\nA = ['a']\n[dead_address]\nA = 'yes'\n[doubts]\nA = ['^']\n",
            "own.toml:6: the pattern '\\^' needs no character",
        ),
        (
            "own.toml",
            "[rules]\nA = ['a']\n[dead_address]\nInvalidRecipent = 'no'\n",
            "own.toml:4: .*unknown class .*did you mean `InvalidRecipient`",
        ),
        (
            "own.toml",
            "[rules]\nA = ['a']\n[doubts]\nB = ['b']\n",
            "own.toml:4: `doubts` names an unknown class `B`",
        ),
        (
            "own.toml",
            "[rules]\nA = ['a']\n[dead_address]\nA = 'yes'\n[evidence]\nA = ['(']\n",
            "own.toml:6: not an RE2 pattern",
        ),
        ("own.json", "[]", "own.json:1: a rule file has tables"),
        ("own.json", '{"rules": {"A": ["a"]},\n"dead_address": {\n"A": "x"}}', "own.json:3: `A` is"),
    ],
)
def test_broken_files_are_refused(name: str, text: str, error: str) -> None:
    """A pattern or a file that cannot be used is named with its line."""
    with pytest.raises(RuleError, match="^" + error):
        Classifier.load([(name, text)])


@pytest.mark.parametrize("pattern", [".", "^[^45]", "^5"])
def test_every_reply_may_be_meant(pattern: str) -> None:
    """A pattern that takes some character is no slip, however much it matches."""
    assert Classifier.load([("own.toml", f"[rules]\nRest = ['{pattern}']\n")]).rules


def test_without_rules_everything_is_uncategorized() -> None:
    """No files, no classes."""
    assert Classifier.load([]).classify("550 x").bounce_class == "Uncategorized"


def test_replies_taken_apart_are_put_together(classifier: Classifier) -> None:
    """What is matched is one line: code, enhanced status, words."""
    reply = Reply(code=552, enhanced="5.2.2", text="x")
    assert classifier.classify(str(reply)).bounce_class == "QuotaIssues"


def test_many_lines_are_one(classifier: Classifier) -> None:
    """Line breaks inside a reply are blanks."""
    assert classifier.classify("550 5.1.1\nuser\r\n unknown").bounce_class == "InvalidRecipient"


def test_garbage_displaces_no_class() -> None:
    """Replies of a class and replies of none are remembered apart, each the latest so many."""
    mine = Classifier.load(
        [("own.toml", "[rules]\nMine = ['known']\n")], cache_size=2, uncategorized_cache_size=2
    )
    first = mine.classify("550 known")
    for number in range(10):
        mine.classify(f"550 other {number}")
    assert mine.classify("550 known") is first
    for number in range(2):
        mine.classify(f"550 known {number}")
    assert mine.classify("550 known") is not first


@pytest.mark.parametrize(("text", "accepted"), REPLIES)
def test_replies_get_a_class_that_a_person_accepts(classifier: Classifier, text: str, accepted: str) -> None:
    """Replies of many servers, in words, numbers and languages."""
    assert classifier.classify(text).bounce_class in accepted.split("|")


def _judged() -> list[tuple[str, str, str]]:
    return [tuple(line.rsplit(" | ", 2)) for line in JUDGED.strip().split("\n")]  # type: ignore[misc]


@pytest.mark.parametrize(("text", "accepted", "dead"), _judged())
def test_replies_are_judged_as_a_person_would(
    classifier: Classifier, text: str, accepted: str, dead: str
) -> None:
    """Class and address of replies as providers word them; nobody is given up where room is left."""
    verdict = classifier.classify(text)
    assert verdict.bounce_class in accepted.split(",")
    assert dead == "?" or (verdict.dead_address == "yes") is (dead == "yes")


def test_names_that_are_nearly_classes_are_warned_of() -> None:
    """An own class that looks like a slip of the pen is told with its line, and works."""
    text = "[rules]\nInvalidRecipients = ['a']\nPartner = ['b']\n"
    mine = Classifier.load([("own.toml", text)])
    assert [(w.line, "`InvalidRecipient`" in w.text) for w in mine.warnings] == [(2, True)]
    assert mine.classify("550 a").bounce_class == "InvalidRecipients"


def test_a_file_that_names_a_class_judges_it_alone() -> None:
    """Evidence and doubts are those of the file whose `dead_address` is used."""
    own = (
        "own.toml",
        "[rules]\nInvalidRecipient = ['gone fishing']\n[dead_address]\nInvalidRecipient = 'yes'\n",
    )
    assert Classifier.load([own, *shipped()]).classify("550 gone fishing").dead_address == "yes"
    fearful = (own[0], own[1] + "[doubts]\nInvalidRecipient = ['fish']\n")
    assert Classifier.load([fearful, *shipped()]).classify("550 gone fishing").dead_address == "unknown"
    silent = (own[0], own[1].partition("[dead")[0])
    assert Classifier.load([silent, *shipped()]).classify("550 gone fishing").dead_address == "unknown"


def test_rules_that_are_too_large_together_are_told_with_a_line() -> None:
    """Each would do, all of them take more memory than allowed: the file that brings most, its largest rule."""
    rows = "".join(f" 'w{n}.{{0,30}}q{n}.*x{{1,200}}',\n" for n in range(2500))
    large = ("large.toml", f"[rules]\nMine = [\n{rows} 'a{{1,900}}',\n]\n")
    with pytest.raises(RuleError) as caught:
        Classifier.load([("small.toml", "[rules]\nMine = ['a']\n"), large])
    assert (caught.value.file, caught.value.line) == ("large.toml", 2503)
    assert "too large" in caught.value.text


def test_a_reply_is_classified_by_its_beginning(classifier: Classifier) -> None:
    """A cause that hundreds of characters precede is none, and the cut falls between words."""
    for text in ("550 " + "lorem " * 98 + "mailbox full", "550 " + "lorem " * 98 + "quotation"):
        assert classifier.classify(text).rule is None
    assert classifier.classify("552 mailbox full" + " lorem" * 1000).bounce_class == "QuotaIssues"
