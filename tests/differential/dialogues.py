"""What clients say, made up: dialogues of SMTP, right and wrong, the same for the same seed.

Each step carries a label of what is special about it ("RCPT percent hack"), by which differences are counted.
Every recipient holds a mark of its dialogue and of its place there, so that arrivals can be told apart.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

RELAYED = "relay.example"
SMUGGLED = b"smuggled"
_INSIDE = b"MAIL FROM:<s@client.example>\r\nRCPT TO:<%ssmuggled@relay.example>\r\nDATA\r\nX: y\r\n\r\ninside"


@dataclass(frozen=True, slots=True)
class Step:
    """A command, and the content that follows if the server wants one."""

    label: str
    octets: bytes
    content: bytes | None = None
    """On the wire: stuffed, with its end."""
    content_label: str = ""
    is_last: bool = False
    """Whether the number of replies is open: QUIT comes along, and everything is read to the end."""


@dataclass(frozen=True, slots=True)
class Dialogue:
    """What one client says, and in how many writes."""

    number: int
    steps: tuple[Step, ...]
    is_pipelined: bool


def dialogues(seed: int, count: int) -> Iterator[Dialogue]:
    """So many dialogues; the same again for the same seed."""
    for number in range(count):
        rng = random.Random(f"{seed} {number}")
        steps = tuple(_Writer(rng, number).steps())
        yield Dialogue(number, steps, is_pipelined=rng.random() < 0.2)


GREETINGS = {
    "EHLO literal": b"EHLO [127.0.0.1]",
    "EHLO IPv6 literal": b"EHLO [IPv6:::1]",
    "EHLO nothing": b"EHLO",
    "EHLO underscore": b"EHLO my_host.example",
    "EHLO space at the end": b"EHLO client.example ",
    "EHLO two words": b"EHLO client.example more",
    "EHLO not a name": b"EHLO c!ient",
    "EHLO raw UTF-8": "EHLO müller.example".encode(),
    "EHLO long name": b"EHLO " + b"a" * 300 + b".example",
    "EHLO small letters": b"ehlo client.example",
    "HELO": b"HELO client.example",
    "HELO nothing": b"HELO",
    "no greeting": b"NOOP",
}
SENDERS = {
    "null": b"<>",
    "without brackets": b"a@client.example",
    "space after the colon": b" <a@client.example>",
    "source route": b"<@x.example,@y.example:a@client.example>",
    "quoted": b'<"a b"@client.example>',
    "UTF-8 undeclared": "<ü@client.example>".encode(),
    "SMTPUTF8": "<ü@client.example> SMTPUTF8".encode(),
    "SIZE": b"<a@client.example> SIZE=1000",
    "SIZE too big": b"<a@client.example> SIZE=999999999",
    "SIZE not a number": b"<a@client.example> SIZE=many",
    "BODY=8BITMIME": b"<a@client.example> BODY=8BITMIME",
    "BODY=7BIT": b"<a@client.example> BODY=7BIT",
    "BODY=BINARYMIME": b"<a@client.example> BODY=BINARYMIME",
    "BODY unknown": b"<a@client.example> BODY=9BIT",
    "parameter unknown": b"<a@client.example> X-UNKNOWN=1",
    "parameter twice": b"<a@client.example> SIZE=10 SIZE=20",
    "RET and ENVID": b"<a@client.example> RET=HDRS ENVID=x1",
    "RET unknown": b"<a@client.example> RET=SOME",
    "AUTH=": b"<a@client.example> AUTH=<>",
    "bracket missing": b"<a@client.example",
    "no domain": b"<a>",
    "long local part": b"<" + b"a" * 65 + b"@client.example>",
    "local part of 300": b"<" + b"a" * 300 + b"@client.example>",
    "literal": b"<a@[127.0.0.1]>",
    "two dots": b"<a..b@client.example>",
    "dot at the end": b"<a.@client.example>",
    "domain with a dot at the end": b"<a@client.example.>",
    "domain empty": b"<a@>",
    "domain with two dots": b"<a@client..example>",
    "domain underscore": b"<a@cli_ent.example>",
    "two at signs": b"<a@b@client.example>",
    "NUL": b"<a\0@client.example>",
    "tab": b"<a\t@client.example>",
    "bare CR": b"<a\r@client.example>",
    "text after the path": b"<a@client.example>junk",
    "comment": b"<a@client.example> (hello)",
    "display name": b"Anna <a@client.example>",
    "nothing": b"",
}
RECIPIENTS = {
    "elsewhere": b"<%s@elsewhere.example>",
    "percent hack": b"<%s%%elsewhere.example@relay.example>",
    "bang path": b"<elsewhere.example!%s@relay.example>",
    "at sign quoted": b'<"%s@elsewhere.example"@relay.example>',
    "source route": b"<@x.example:%s@relay.example>",
    "quoted": b'<"%s b"@relay.example>',
    "quoted needlessly": b'<"%s"@relay.example>',
    "capitals": b"<%sABC@RELAY.EXAMPLE>",
    "plus": b"<%s+detail@relay.example>",
    "odd characters": b"<%s/=?^_`{|}~'*&$#@relay.example>",
    "subdomain": b"<%s@sub.relay.example>",
    "literal": b"<%s@[127.0.0.1]>",
    "without brackets": b"%s@relay.example",
    "space after the colon": b" <%s@relay.example>",
    "empty": b"<>",
    "no domain": b"<%s>",
    "postmaster": b"<postmaster>",
    "two dots": b"<%s..b@relay.example>",
    "dot first": b"<.%s@relay.example>",
    "domain with a dot at the end": b"<%s@relay.example.>",
    "bracket missing": b"<%s@relay.example",
    "UTF-8 undeclared": "<%sü@relay.example>".encode(),
    "long local part": b"<%s" + b"a" * 65 + b"@relay.example>",
    "NOTIFY=NEVER": b"<%s@relay.example> NOTIFY=NEVER",
    "NOTIFY unknown": b"<%s@relay.example> NOTIFY=MAYBE",
    "ORCPT": b"<%s@relay.example> ORCPT=rfc822;a@b.example",
    "parameter unknown": b"<%s@relay.example> X-UNKNOWN=1",
    "NUL": b"<%s\0@relay.example>",
    "two": b"<%s@relay.example> <b@relay.example>",
}
STRAYS = {
    "RSET": b"RSET",
    "RSET with an argument": b"RSET now",
    "NOOP": b"NOOP",
    "NOOP with an argument": b"NOOP a b c",
    "small letters": b"noop",
    "VRFY": b"VRFY postmaster@relay.example",
    "VRFY nothing": b"VRFY",
    "EXPN": b"EXPN list",
    "HELP": b"HELP",
    "unknown verb": b"FROB x",
    "empty line": b"",
    "space first": b" NOOP",
    "tab as a space": b"MAIL\tFROM:<a@client.example>",
    "EHLO again": b"EHLO again.example",
    "MAIL again": b"MAIL FROM:<again@client.example>",
    "MAIL without FROM": b"MAIL <a@client.example>",
    "RCPT without TO": b"RCPT <a@relay.example>",
    "DATA with an argument": b"DATA now",
    "AUTH not offered": b"AUTH PLAIN AGEAYg==",
    "STARTTLS not offered": b"STARTTLS",
    "XCLIENT not offered": b"XCLIENT ADDR=192.0.2.1",
    "BDAT without recipients": b"BDAT 0 LAST",
    "ETRN": b"ETRN relay.example",
    "HTTP": b"Host: relay.example",
    "NUL": b"NO\0OP",
    "8 bit": b"NO\xffOP",
    "line of 600": b"NOOP " + b"x" * 600,
    "line of 3000": b"NOOP " + b"x" * 3000,
    "QUIT with an argument": b"QUIT now",
}
_HEAD = b"From: a@client.example\r\nTo: b@relay.example\r\nSubject: s\r\nMessage-ID: <1@client.example>\r\n"
CONTENTS = {
    "dots": _HEAD + b"\r\n..\r\n.x\r\n...\r\ny\r\n",
    "empty": b"",
    "header only": _HEAD,
    "no header": b"hello there\r\n\r\nmore\r\n",
    "body first": b"\r\nhello\r\n",
    "space first": b" hello: x\r\n\r\nbody\r\n",
    "mbox line first": b"From a@client.example Mon Jan  1 00:00:00 2024\r\n" + _HEAD + b"\r\nx\r\n",
    "8 bit undeclared": _HEAD + b"\r\n\xc3\xbc\xff\r\n",
    "8 bit in the header": "Subject: für\r\n".encode() + _HEAD + b"\r\nx\r\n",
    "NUL": _HEAD + b"\r\na\0b\r\n",
    "NUL in the header": b"X-Nul: a\0b\r\n" + _HEAD + b"\r\nx\r\n",
    "line of 998": _HEAD + b"\r\n" + b"x" * 998 + b"\r\n",
    "line of 999": _HEAD + b"\r\n" + b"x" * 999 + b"\r\n",
    "line of 5000": _HEAD + b"\r\n" + b"x" * 5000 + b"\r\n",
    "long header line": b"X-Long: " + b"x" * 980 + b"\r\n" + _HEAD + b"\r\nx\r\n",
    "folded header": b"X-Folded: a\r\n\tb\r\n  c\r\n" + _HEAD + b"\r\nx\r\n",
    "Return-Path": b"Return-Path: <x@client.example>\r\n" + _HEAD + b"\r\nx\r\n",
    "Bcc": _HEAD + b"Bcc: c@relay.example\r\n\r\nx\r\n",
    "Content-Length": _HEAD + b"Content-Length: 3\r\n\r\nx\r\n",
    "60 Received": b"Received: from a by b; Mon, 1 Jan 2024 00:00:00 +0000\r\n" * 60 + _HEAD + b"\r\nx\r\n",
    "110 Received": b"Received: from a by b; Mon, 1 Jan 2024 00:00:00 +0000\r\n" * 110 + _HEAD + b"\r\nx\r\n",
    "Delivered-To": b"Delivered-To: other@relay.example\r\n" + _HEAD + b"\r\nx\r\n",
    "space before the colon": b"Subject : x\r\n" + _HEAD + b"\r\nx\r\n",
    "white lines at the end": _HEAD + b"\r\nx\r\n\r\n\r\n \r\n",
    "MIME": _HEAD + b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\xc3\xbc\r\n",
    "bare LF": _HEAD + b"\r\na\nb\r\n",
    "bare CR": _HEAD + b"\r\na\rb\r\n",
    "LF only": (_HEAD + b"\r\nx\r\n").replace(b"\r\n", b"\n") + b"\r\n",
}
ENDS = {
    r"\n.\n": b"\n.\n",
    r"\n.\r\n": b"\n.\r\n",
    r"\r\n.\n": b"\r\n.\n",
    r"\r.\r": b"\r.\r",
    r"\r\n.\r": b"\r\n.\r",
    r"\r.\r\n": b"\r.\r\n",
    r"\r\n\0.\r\n": b"\r\n\0.\r\n",
    r"\r\n.\0\r\n": b"\r\n.\0\r\n",
    r"\r\n. \r\n": b"\r\n. \r\n",
    r"\r\r\n.\r\r\n": b"\r\r\n.\r\r\n",
}


class _Writer:
    def __init__(self, rng: random.Random, number: int) -> None:
        self._rng = rng
        self._number = number
        self._recipient = 0

    def steps(self) -> Iterator[Step]:
        yield self._one("", GREETINGS, plain=b"EHLO client.example", label="EHLO", odd=0.25)
        for _ in range(self._rng.choice((1, 1, 1, 2, 3))):
            for step in self._transaction():
                if self._rng.random() < 0.08:
                    yield self._one("stray ", STRAYS, odd=1)
                yield step
                if step.is_last:
                    return
        yield Step("QUIT", b"QUIT\r\n")

    def _transaction(self) -> Iterator[Step]:
        if self._rng.random() > 0.03:
            yield self._path("MAIL", b"MAIL FROM:", SENDERS, b"<a@client.example>", odd=0.25)
        for _ in range(self._rng.choice((0, 1, 1, 1, 1, 1, 2, 3))):
            yield self._path("RCPT", b"RCPT TO:", RECIPIENTS, b"<%s@relay.example>", odd=0.25)
        yield self._content()

    def _path(self, verb: str, start: bytes, odd_ones: dict[str, bytes], plain: bytes, odd: float) -> Step:
        step = self._one(f"{verb} ", odd_ones, plain=plain, label=verb, odd=odd)
        path = step.octets[:-2]
        if verb == "RCPT" and b"%s" in path:
            path %= self._mark()
        return Step(step.label, start + path + b"\r\n")

    def _mark(self) -> bytes:
        self._recipient += 1
        return b"d%dx%dy" % (self._number, self._recipient)

    def _content(self) -> Step:
        chance = self._rng.random()
        if chance < 0.06:
            name, end = self._rng.choice(list(ENDS.items()))
            inside = _INSIDE % self._mark()
            content = _HEAD + b"\r\noutside" + end + inside + b"\r\n.\r\nQUIT\r\n"
            return Step("DATA", b"DATA\r\n", content, f"content smuggled behind {name}", is_last=True)
        step = self._one("content ", CONTENTS, plain=_HEAD + b"\r\nhello\r\n", label="content", odd=0.35)
        octets = step.octets[:-2]
        stuffed = (b"\r\n" + octets).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"
        if chance < 0.12:
            chunk = b"BDAT %d LAST\r\n" % len(octets)
            return Step(step.label.replace("content", "BDAT"), chunk + octets)
        return Step("DATA", b"DATA\r\n", stuffed, step.label)

    def _one(
        self, prefix: str, odd_ones: dict[str, bytes], *, odd: float, plain: bytes = b"", label: str = ""
    ) -> Step:
        if self._rng.random() < odd:
            name, octets = self._rng.choice(list(odd_ones.items()))
            return Step(prefix + name, octets + b"\r\n")
        return Step(label, plain + b"\r\n")
