"""`explain` says what a live session does, whatever the configuration: the property, on random ones.

A whole server in process takes each configuration by a reload, and is asked over SMTP through its own
connection and receiver; `explain` is asked the same. `EXPLAIN_SESSIONS` says how many sessions there are to
be: some hundreds here, 10^5 with `make prove-explain`.
"""

from __future__ import annotations

import asyncio
import base64
import os
import random
from collections.abc import Iterator
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from angarium.admin.explain import Question, explain
from angarium.mail.status import Reply
from angarium.policy.config import Configuration
from tests.cli.test_explain import BOUNCE
from tests.policy.whole_configurations import IDENTITIES, LOCALS, PEERS, RECIPIENTS, SENDERS, texts

SESSIONS = int(os.environ.get("EXPLAIN_SESSIONS", "400"))
EACH = 20
"""Sessions on each configuration."""
PORTS = {"in": 25, "wide": 2525}
USERS = ["r", "spam", "r%z.net", "postmaster"]
FIRST = """
hostname = "mx.example.net"
[policy]
listener_domains = ["domains.toml"]
[[listener]]
name = "in"
listen = "10.9.9.9:25"
[[listener]]
name = "wide"
listen = "0.0.0.0:2525"
"""
CONTENTS = [None, None, b"Subject: hello\r\n\r\nhello\r\n", BOUNCE.replace(b"\n", b"\r\n")]
BEGIN = 'from angarium import ListenerDomain, Policy, reject\npolicy = Policy.load("main.toml")\n'
HANDLERS = [
    """
@policy.on
def get_listener_domain(domain, listener, conn_meta):
    if domain in ("c.org", "z.net"):
        return ListenerDomain(relay_to=domain == "z.net", relay_from=["198.51.100.0/24"], log_oob=True)
    if domain == "y.org":
        reject(450, "4.7.1 not now")
    return None
""",
    """
@policy.on
def smtp_server_connection_accepted(conn_meta):
    if str(conn_meta.peer.ip) == "2a00::1":
        reject(554, "5.7.1 not from there")
""",
    """
@policy.on
def smtp_server_mail_from(sender, conn_meta):
    if sender is not None and sender.domain == "z.net":
        reject(451, "4.7.1 later")
""",
    """
@policy.on
def smtp_server_rcpt_to(recipient, conn_meta):
    if recipient.user == "spam":
        reject(550, "5.7.1 no spam")
""",
    """
@policy.on
def smtp_server_data(message, conn_meta):
    if len(message.recipients) == 2:
        reject(554, "5.7.1 not two")
    if len(message.recipients) == 1:
        message.sender = None
""",
]
programs = st.lists(st.sampled_from(HANDLERS), unique=True, max_size=3).map(
    lambda parts: BEGIN + "".join(parts)
)
limits = st.fixed_dictionaries(
    {"tls": st.sampled_from(["off", "off", "off", "required"])},
    optional={"max_recipients_per_message": st.integers(1, 3), "max_refused_recipients": st.integers(1, 3)},
)


@st.composite
def policies(draw: st.DrawFn) -> dict[str, str]:
    """The files of a whole policy: listeners with limits, domains, handlers."""
    main, domains = draw(texts())
    for name in PORTS:
        given = "max_refused_recipients_per_network = 1000000000\n"
        given += "".join(f"{key} = {value!r}\n" for key, value in draw(limits).items())
        main = main.replace(f'name = "{name}"\n', f'name = "{name}"\n{given}')
    return {"policy.py": draw(programs), "main.toml": main, "domains.toml": domains}


def sessions(seed: int) -> Iterator[Question]:
    """Questions at random."""
    chance = random.Random(seed)
    for _ in range(EACH):
        label = chance.choice(list(LOCALS))
        sender, content = chance.choice(SENDERS), chance.choice(CONTENTS)
        yield Question(
            peer=chance.choice(PEERS),
            sender="" if sender is None else f"s@{sender}",
            recipients=[_recipient(chance) for _ in range(chance.randint(1, 4))],
            listener=f"{chance.choice(LOCALS[label])}:{PORTS[label]}",
            identity=chance.choice(IDENTITIES),
            message=None if content is None else base64.b64encode(content).decode(),
        )


def _recipient(chance: random.Random) -> str:
    domain = chance.choice([*RECIPIENTS, "mx.example.net", "postmaster"])
    if domain == "postmaster":
        return domain
    address = f"{chance.choice(USERS)}@{domain}"
    return chance.choice([address] * 8 + [f"@h.org,@i.org:{address}", f"{address}..net"])


def explained(configuration: Configuration, question: Question) -> list[tuple[Any, ...]]:
    """What explain says of each recipient, and of the content."""
    rows = asyncio.run(explain(configuration, question, None))
    answers = [(*row["reply"].values(), _who(row["decided_by"], row["reply"]["code"])) for row in rows]
    finals = [row["final_reply"] for row in rows if "final_reply" in row]
    return answers + [_final(*final.values()) for final in finals[:1]]


def lived(server: Any, question: Question) -> list[tuple[Any, ...]]:
    """What a session with the server comes to."""
    local, _, port = str(question.listener).rpartition(":")
    client = server.session(question.peer, port, local=local, auth=question.identity)
    try:
        return _dialogue(server, client, question)
    finally:
        client.close()


def _dialogue(server: Any, client: Any, question: Question) -> list[tuple[Any, ...]]:
    answer = client.banner
    if answer.is_positive:
        answer = client.say(f"MAIL FROM:<{question.sender}>")
    if answer.is_refusal:
        return [_told(server, answer)] * len(question.recipients)
    answers: list[tuple[Any, ...]] = []
    for recipient in question.recipients:
        if not client.is_closed:
            answers.append(_told(server, client.say(f"RCPT TO:<{recipient}>")))
    if question.message is not None and not client.is_closed and any(code == 250 for code, *_ in answers):
        assert client.say("DATA").code == 354
        content = base64.b64decode(question.message).replace(b"\r\n.", b"\r\n..")
        answers.append(_final(*_parts(client.send(content + b".\r\n")[-1])))
    return answers


def _told(server: Any, answer: Reply) -> tuple[Any, ...]:
    record = server.records("Rejection")[-1] if answer.is_refusal else {}
    return *_parts(answer), _who(record.get("decided_by"), answer.code)


def _parts(answer: Reply) -> tuple[int, str | None, str]:
    return answer.code, None if answer.enhanced is None else str(answer.enhanced), answer.text


def _who(decided: dict[str, Any] | None, code: int) -> tuple[Any, ...] | None:
    """Who refused; what was refused by no decision is the default's."""
    if code < 400:
        return None
    decided = decided or {"kind": "default"}
    return tuple(decided.get(name) for name in ("kind", "line", "section", "key", "handler"))


def _final(code: int, enhanced: str | None, text: str) -> tuple[Any, ...]:
    """The reply to content; of an acceptance without the ids."""
    return (code, enhanced, text if code >= 400 else "")


def test_explain_says_what_a_live_session_does(mta: Any) -> None:
    """Every reply, who refused, and the reply to the content are the same, and none is left out."""
    server = mta({"policy.py": BEGIN, "main.toml": FIRST, "domains.toml": ""})

    @settings(
        max_examples=max(1, SESSIONS // EACH), deadline=None, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(policies(), st.integers(0, 2**32))
    def check(files: dict[str, str], seed: int) -> None:
        server.reload(files)
        for question in sessions(seed):
            server._records.clear()
            server.sessions.clear()
            assert explained(server.configuration, question) == lived(server, question), question

    check()
