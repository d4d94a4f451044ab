"""P11 and the contract's section 7: policy as code, event by event, over real sockets."""

import pytest

SENDER = "a@customer.example"
OUT = "b@elsewhere.example"
OPEN = '["relayed.example"]\nrelay_to = true\n'

GET_LISTENER_DOMAIN = """
@policy.on
def get_listener_domain(domain: str, listener: str, conn_meta: ConnectionMeta) -> ListenerDomain | None:
    conn_meta.meta["asked"] = [*conn_meta.meta.get("asked", []), domain]
    if domain == "code.example":
        return ListenerDomain(relay_to=True, log_oob=True)
    if domain == "<>" and str(conn_meta.peer.ip) == "127.0.0.3":
        return ListenerDomain(relay_from=["127.0.0.3"])
    return None
"""


def test_code_answers_for_a_domain(serve):
    """What the handler returns is the whole answer; None lets the files answer; decided_by names its line."""

    async def test(house):
        client = await house.stranger()
        answers = await client.begin(SENDER, "b@code.example", "b@relayed.example", "b@other.example")
        assert [answer[:3] for answer in answers] == ["250", "250", "550"]
        await client.content()
        reception = house.records("Reception")[0]
        decided = reception["decided_by"]
        assert (decided["kind"], decided["handler"]) == ("handler", "get_listener_domain")
        assert decided["file"].endswith("policy.py")
        assert decided["line"] > 1
        assert {call["event"] for call in reception["handlers"]} == {"get_listener_domain"}

    serve(test, program=GET_LISTENER_DOMAIN, domains=OPEN)


def test_asked_at_most_once_a_domain_and_command(serve):
    """The sender's domain is asked about where the peer has no right, the recipient's where it can matter."""

    async def test(house):
        client = await house.stranger()
        await client.begin("a@code.example", "b@code.example")
        await client.content()
        assert house.records("Reception")[0]["meta"]["asked"] == ["code.example"]
        trusted = await house.connect()
        await trusted.send(SENDER, "b@code.example")
        assert house.records("Reception")[1]["meta"]["asked"] == ["code.example"]

    serve(test, program=GET_LISTENER_DOMAIN, log='meta = ["asked"]')


def test_code_grants_the_null_reverse_path_by_answering_for_it(serve):
    """`<>` is asked about as such."""

    async def test(house):
        answers = [(await (await house.connect(ip)).begin("", OUT))[0] for ip in ("127.0.0.3", "127.0.0.2")]
        assert [answer[:3] for answer in answers] == ["250", "550"]

    serve(test, program=GET_LISTENER_DOMAIN)


REJECTS = """
@policy.on
def {event}({parameters}):
    reject({code}, "{text}")
"""

STAGES = [
    ("smtp_server_connection_accepted", "conn_meta", 0),
    ("smtp_server_ehlo", "domain, conn_meta", 1),
    ("smtp_server_mail_from", "sender, conn_meta", 2),
    ("get_listener_domain", "domain, listener, conn_meta", 3),
    ("smtp_server_rcpt_to", "recipient, conn_meta", 3),
    ("smtp_server_data", "message, conn_meta", 4),
    ("smtp_server_message_received", "message, conn_meta", 4),
    ("get_queue_config", "domain, tenant, campaign, routing_domain, conn_meta", 4),
]


async def _until_refused(house):
    """Walk through the stages; returns the stage that was refused and its reply."""
    client = await house.connect(greet=False)
    stages = [
        lambda: client.say("EHLO client.example"),
        lambda: client.say(f"MAIL FROM:<{SENDER}>"),
        lambda: client.say(f"RCPT TO:<{OUT}>"),
        client.content,
    ]
    answer = client.banner
    for number, stage in enumerate(stages, 1):
        if not answer.startswith("2"):
            return number - 1, answer, client
        answer = await stage()
    return len(stages), answer, client


@pytest.mark.parametrize(("event", "parameters", "stage"), STAGES)
def test_reject_at_every_stage(serve, event, parameters, stage):
    """`reject` is the reply, with a Rejection that tells of the handler; nothing is kept."""

    async def test(house):
        refused_at, answer, _ = await _until_refused(house)
        assert (refused_at, answer) == (stage, "554 5.7.0 Not today")
        [record] = house.seen
        assert record["type"] == "Rejection"
        assert record["handlers"][0]["event"] == event
        assert len(house.shard.scheduler) == 0

    program = REJECTS.format(event=event, parameters=parameters, code=554, text="5.7.0 Not today")
    serve(test, program=program)


@pytest.mark.parametrize(("event", "parameters", "stage"), STAGES)
@pytest.mark.parametrize("fault", ["raises", "waits"])
def test_a_failing_handler_costs_one_command(serve, event, parameters, stage, fault, caplog):
    """A handler that raises, or waits beyond `handler_timeout`: 451 4.3.0, a line in the log, and no more."""
    body = 'raise ValueError("secret")' if fault == "raises" else "await asyncio.Event().wait()"
    program = f"\n@policy.on\nasync def {event}({parameters}):\n    {body}\n"

    async def test(house):
        refused_at, answer, client = await _until_refused(house)
        assert (refused_at, answer[:9]) == (stage, "451 4.3.0")
        assert "policy.py:" in caplog.text
        assert "secret" not in answer
        if stage:
            assert (await client.say("RSET")).startswith("250")

    serve(test, program=program, main='handler_timeout = "20ms"')


CHANGES = """
@policy.on
def smtp_server_data(message, conn_meta):
    message.remove_header("Subject")
    message.prepend_header("X-Seen", "yes")
    message.recipients = [*message.recipients, "copy@far.example"]
"""


def test_what_a_handler_changes(serve):
    """Changes arrive at the next hop; a recipient that the handler wrote is allowed by that handler."""

    async def test(house):
        client = await house.stranger()
        await client.send(SENDER, "b@relayed.example")
        taken = await house.arrived(2)
        assert sorted(one.recipients[0] for one in taken) == ["b@relayed.example", "copy@far.example"]
        for one in taken:
            assert b"X-Seen: yes\r\n" in one.content
            assert b"Subject" not in one.content
            assert one.content.startswith(b"Received:")
        by_recipient = {record["recipient"]: record for record in house.records("Reception")}
        decided = by_recipient["copy@far.example"]["decided_by"]
        assert (decided["kind"], decided["handler"]) == ("handler", "smtp_server_data")

    serve(test, program=CHANGES, domains=OPEN)


def test_a_changed_sender_is_decided_again(serve):
    """Where the new sender has no right, the whole transaction is refused."""

    async def test(house):
        client = await house.stranger()
        answer = await client.send("a@allowed.example", OUT)
        assert answer.startswith("550 5.7.1")
        assert len(house.shard.scheduler) == 0

    program = (
        "\n@policy.on\ndef smtp_server_data(message, conn_meta):\n    message.sender = 'x@other.example'\n"
    )
    serve(test, program=program, domains='["allowed.example"]\nrelay_from = ["127.0.0.2"]\n')


EACH = """
@policy.on
def smtp_server_message_received(message, conn_meta):
    message.meta["tenant"] = "t" + str(message.recipients[0].user)
    message.prepend_header("X-For", str(message.recipients[0]))
"""


def test_each_message_has_its_own_turn(serve):
    """`smtp_server_message_received` sees one message with its Received field; metadata names the queue."""

    async def test(house):
        client = await house.connect()
        await client.send(SENDER, "one@far.example", "two@far.example")
        taken = {one.recipients[0]: one.content for one in await house.arrived(2)}
        assert taken["one@far.example"].startswith(b"X-For: one@far.example\r\nReceived: ")
        assert taken["two@far.example"].startswith(b"X-For: two@far.example\r\nReceived: ")
        queues = {record["queue"] for record in house.records("Reception")}
        assert queues == {"tone@far.example", "ttwo@far.example"}

    serve(test, program=EACH)


ROUTES = """
@policy.on
def get_queue_config(domain, tenant, campaign, routing_domain, conn_meta):
    if domain == "code.example":
        return QueueConfig(routing_domain="$hop", max_age=3600)
    return None
"""


def test_code_configures_a_queue(serve):
    """`get_queue_config` is asked when a queue is made; its answer outlasts a reload and a restart."""

    async def test(house):
        client = await house.connect()
        await client.send(SENDER, "b@code.example")
        await house.arrived()
        house.hop.close_all()
        await client.send(SENDER, "c@code.example")
        await house.arrived(2)

    serve(test, program=ROUTES, queues="# none\n")


def test_what_code_said_of_a_queue_outlasts_a_restart(serve):
    """A message that waits goes where the handler said, though nobody can ask the handler again."""

    async def test(house):
        client = await house.connect()
        await client.send(SENDER, "b@code.example")
        await house.wait_for("TransientFailure")
        await house.restart()
        [message] = house.shard.scheduler
        assert message.queue.config.routing_domain == house.hop.route
        house.shard.scheduler.retry_now(message)
        await house.arrived()

    serve(test, program=ROUTES, queues="# none\n", hop=[{"mail": "451 4.3.0 later"}])


THREAD = """
import threading

@policy.on(thread=True)
def smtp_server_ehlo(domain, conn_meta):
    conn_meta.meta["thread"] = threading.current_thread() is not threading.main_thread()
"""


def test_a_handler_in_a_thread(serve):
    """`@policy.on(thread=True)` runs beside the event loop; what it sets in `meta` goes with the message."""

    async def test(house):
        client = await house.connect()
        await client.send(SENDER, OUT)
        assert house.records("Reception")[0]["meta"] == {"thread": True}

    serve(test, program=THREAD, log='meta = ["thread"]')


NULL = """
@policy.on
def smtp_server_message_received(message, conn_meta):
    message.queue = "null"
"""


def test_the_null_queue(serve):
    """A message put into the queue `null` is discarded: 250, and a Reception that says so."""

    async def test(house):
        client = await house.connect()
        assert (await client.send(SENDER, OUT)).startswith("250")
        [reception] = house.seen
        assert (reception["type"], reception["disposition"]) == ("Reception", "discarded")
        assert reception["queue"] == "null"
        await house.shard.intake.close()
        await house.restart()
        assert len(house.shard.scheduler) == 0

    serve(test, program=NULL)
