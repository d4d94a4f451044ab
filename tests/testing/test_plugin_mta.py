"""The fixture `mta`: the whole server on a policy, in time that jumps, with no network."""

import socket
import time
from datetime import timedelta
from email.message import EmailMessage

import pytest

from angarium import ListenerDomain, Policy
from angarium.policy.config import ConfigError
from angarium.testing import Do, NoDecision, NoReply

FILES = {
    "angarium.toml": """\
hostname = "mx.example.com"
postmaster = "ops@example.com"
[[listener]]
name = "public"
listen = "0.0.0.0:25"
relay_hosts = ["192.0.2.0/24"]
[[listener]]
name = "inside"
listen = "10.0.0.9:587"
relay_hosts = []
client_timeout = "5m"
[policy]
listener_domains = ["domains.toml"]
queues = ["queues.toml"]
""",
    "domains.toml": """\
["example.com"]
relay_to = true
["bounces.example.com"]
log_oob = true
["customer.example"]
relay_from_authz = ["customer"]
""",
    "queues.toml": """\
[queue.default]
retry_interval = "10m"
max_retry_interval = "2h"
max_age = "2 days"
[queue."example.com"]
routing_domain = "[10.0.0.1]"
""",
}
PROGRAM = """\
import asyncio, time
from angarium import ListenerDomain, Policy, reject

policy = Policy.load("angarium.toml")

@policy.on(thread=True)
def get_listener_domain(domain, listener, conn_meta):
    time.sleep(0.02)
    return ListenerDomain(relay_to=True) if domain == "code.example" else None

@policy.on
async def smtp_server_mail_from(sender, conn_meta):
    await asyncio.sleep(20)
    if sender is not None and sender.user == "spammer":
        reject(550, "5.7.1 not from you")
"""


@pytest.fixture
def server(mta):
    return mta(FILES)


def test_mail_goes_all_the_way(server):
    """What a stranger sends to a relayed domain is at the next hop when `mail` returns, and recorded."""
    result = server.session().mail("a@example.net", "user@example.com", "Subject: hi\n\nhello\n.dot\n")
    assert result.is_accepted
    assert result.accepted == ("user@example.com",)
    (message,) = server.delivered
    assert (message.sender, message.recipients) == ("a@example.net", ("user@example.com",))
    assert (message.host, message.port) == ("10.0.0.1", 25)
    assert message.text.endswith("Subject: hi\n\nhello\n.dot\n")
    assert [record["id"] for record in server.records("Reception", "Delivery")] == [*result.ids, *result.ids]
    assert server.queue == []


def test_a_refusal_is_a_result(server):
    """Each recipient that was refused has its reply, and nothing is sent on when all were."""
    result = server.session().mail("a@example.net", ["user@example.com", "user@example.org"])
    assert result.accepted == ("user@example.com",)
    assert result.refused["user@example.org"].code == 550
    nobody = server.session().mail("a@example.net", "user@example.org")
    assert (nobody.is_accepted, nobody.reply.code, nobody.ids) == (False, 550, ())
    assert len(server.delivered) == 1


def test_messages_of_the_standard_library_are_sent(server):
    """An EmailMessage goes out as SMTP wants it."""
    message = EmailMessage()
    message["Subject"] = "hi"
    message.set_content("hello\n")
    assert server.session().mail(None, "user@example.com", message).is_accepted
    assert server.delivered[0].sender == ""
    assert "Subject: hi\n" in server.delivered[0].text


def test_octets_go_on_the_wire_as_they_are(server):
    """`send` passes through the real receiver: pipelining is answered in order, nonsense with 502."""
    session = server.session(helo=None)
    assert session.banner.code == 220
    replies = session.send(b"EHLO me\r\nMAIL FROM:<a@example.net>\r\nNONSENSE\r\nRC")
    assert [reply.code for reply in replies] == [250, 250, 502]
    assert [reply.code for reply in session.send(b"PT TO:<user@example.com>\r\n")] == [250]
    assert session.dialogue[-2:] == ["C: PT TO:<user@example.com>", "S: 250 2.1.5 recipient accepted"]
    assert session.say("QUIT").code == 221
    assert session.is_closed
    with pytest.raises(NoReply, match="QUIT"):
        session.say("NOOP")


def test_a_day_of_retries_passes_at_once(server):
    """Time jumps: what the next hop defers is tried again at the configured times, until it is taken."""
    server.next_hop("10.0.0.1", {"rcpt": "450 4.2.1 later"})
    server.session().mail("a@example.net", "user@example.com")
    (waiting,) = server.queue
    assert (waiting.recipient, waiting.attempts) == ("user@example.com", 1)
    assert timedelta(0) < waiting.due - server.now <= timedelta(minutes=20)
    began, real = server.now, time.monotonic()
    server.advance(hours=24)
    assert server.now - began == timedelta(hours=24)
    assert time.monotonic() - real < 5
    assert server.queue[0].attempts > 4
    server.next_hop("10.0.0.1", {})
    server.advance(hours=12)
    assert [message.recipients for message in server.delivered] == [("user@example.com",)]


def test_mail_expires(server):
    """What is not taken within max_age has an Expiration, and leaves the queue."""
    server.next_hop("10.0.0.1", {"connect": Do.CLOSE})
    server.session().mail("a@example.net", "user@example.com")
    server.advance(days=3)
    assert server.queue == []
    assert len(server.records("Expiration")) == 1


@pytest.mark.parametrize("stage", ["connect", "banner", "ehlo", "mail", "rcpt", "data", "content"])
def test_a_next_hop_can_hang_anywhere(server, stage):
    """A host that hangs at any stage costs time, not the message."""
    server.next_hop("10.0.0.1", {stage: Do.HANG}, {})
    server.session().mail("a@example.net", "user@example.com")
    assert server.delivered == []
    server.advance(hours=3)
    assert len(server.delivered) == 1


def test_a_next_hop_takes_some_and_refuses_others(server):
    """A script can answer each recipient differently."""
    hop = server.next_hop("10.0.0.1", {"rcpt": {"gone@example.com": "550 5.1.1 gone"}})
    server.session().mail("a@example.net", ["user@example.com", "gone@example.com"])
    assert [message.recipients for message in server.delivered] == [("user@example.com",)]
    (bounce,) = server.records("Bounce")
    assert bounce["recipient"] == "gone@example.com"
    assert any("RCPT TO:<gone@example.com>" in commands for commands in hop.commands)


def test_a_script_with_a_misspelt_stage_is_an_error(server):
    """A stage that does not exist is said, with the one that was meant."""
    with pytest.raises(ValueError, match="did you mean content"):
        server.next_hop("10.0.0.1", {"contents": Do.CLOSE})


def test_names_come_from_the_zone(mta):
    """MX hosts are those of the dict, in their order; it can be changed between attempts."""
    zone = {"example.org": {"MX": ["20 b.example.org.", "10 a.example.org."]}}
    zone |= {"a.example.org": {"A": ["198.51.100.1"]}, "b.example.org": {"A": ["198.51.100.2"]}}
    server = mta(FILES, zone=zone)
    server.next_hop("198.51.100.1", {"connect": Do.CLOSE})
    server.session("192.0.2.7").mail("a@example.net", "user@example.org")
    assert [message.host for message in server.delivered] == ["198.51.100.2"]
    server.session("192.0.2.7").mail("a@example.net", "user@new.example")
    server.zone["new.example"] = {"A": ["198.51.100.3"]}
    server.advance(hours=1)
    assert server.delivered[-1].host == "198.51.100.3"


def test_peers_listeners_and_identities_make_the_decision(server):
    """`decide` says what RCPT would be answered, with its checks, for any client."""
    assert server.decide("a@example.net", "x@example.org", peer="192.0.2.7").verdict == "relay"
    assert server.decide("a@example.net", "x@example.org", peer="192.0.2.7", listener=587).verdict == "refuse"
    assert server.decide(None, "b@bounces.example.com").verdict == "report-only"
    named = server.decide("a@customer.example", "x@example.org", auth="customer", listener="inside")
    assert (named.verdict, named.right) == ("relay", "relay_from_authz")
    assert any(check.source is not None for check in named.checks)
    assert server.decide("a@customer.example", "x@example.org", peer="2001:db8::7").verdict == "refuse"


def test_the_live_session_agrees_with_decide(server):
    """A session that stands for an identity relays as `decide` said."""
    session = server.session(listener="10.0.0.9:587", auth="customer")
    assert session.mail("a@customer.example", "x@example.org").is_accepted
    assert server.records("Reception")[0]["authz_id"] == "customer"


SECURE = """\
from angarium import Policy
policy = Policy(
    hostname="mx.example.com",
    listeners=[
        {"name": "submission", "listen": "0.0.0.0:587", "relay_hosts": []},
        {"name": "submissions", "listen": "0.0.0.0:465", "relay_hosts": [], "tls": "implicit"},
        {"name": "behind", "listen": "0.0.0.0:26", "relay_hosts": ["192.0.2.7"], "proxy_hosts": ["10.0.0.9"]},
    ],
)

@policy.on
def smtp_server_auth_plain(authz, authn, password, conn_meta):
    return (authn, password) == ("customer", "secret")

@policy.on
def get_listener_domain(domain, listener, conn_meta):
    from angarium import ListenerDomain
    return ListenerDomain(relay_from_authz=["customer"]) if domain == "customer.example" else None
"""


def test_tls_and_auth_are_real(mta):
    """`tls` shakes hands and `auth` with a password says AUTH PLAIN; the dialogue keeps the password."""
    server = mta({"policy.py": SECURE})
    session = server.session(tls=True, auth=("customer", "secret"))
    assert session.mail("a@customer.example", "x@example.org").is_accepted
    assert not any("secret" in line for line in session.dialogue)
    (reception,) = server.records("Reception")
    assert reception["authn_id"] == "customer"
    assert reception["tls_protocol_version"] == "TLSv1.3"
    with pytest.raises(AssertionError, match="535"):
        server.session(tls=True, auth=("customer", "guess"))


def test_listeners_may_begin_with_tls(mta):
    """A listener with implicit TLS is spoken to as it wants."""
    session = mta({"policy.py": SECURE}).session(listener="submissions", auth=("customer", "secret"))
    assert session.banner.code == 220
    assert session.mail("a@customer.example", "x@example.org").is_accepted


def test_a_proxy_says_who_is_there(mta):
    """`preface` goes before the greeting, so that a listener behind a proxy can be asked."""
    server = mta({"policy.py": SECURE})
    header = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\r\n"
    session = server.session("10.0.0.9", "behind", preface=header)
    assert session.decide("a@example.net", "x@example.org").right == "relay_hosts"


def test_an_unknown_listener_is_said(server):
    """A listener that the policy does not have is an error that names those it has."""
    with pytest.raises(ValueError, match="public, inside"):
        server.session(listener="pubic")


def test_expect_shows_the_checks(server):
    """A broken expectation shows the reply, each check with file and line, and the dialogue."""
    server.expect("relay", "a@example.net", "user@example.com")
    server.expect("550 5.7.1", "a@example.net", "user@example.org")
    with pytest.raises(AssertionError) as failure:
        server.expect("relay", "a@example.net", "user@example.org")
    text = str(failure.value)
    assert "expected relay, got refuse: 550 5.7.1" in text
    assert "angarium.toml:6: relay_hosts: peer 203.0.113.5" in text
    assert "C: RCPT TO:<user@example.org>" in text
    with pytest.raises(ValueError, match="is no answer"):
        server.expect("yes", "a@example.net", "user@example.org")


def test_handlers_run_for_real(mta):
    """Handlers of a policy file run, in threads and with time limits of virtual time, and may refuse."""
    server = mta({"policy.py": PROGRAM, **FILES})
    session = server.session()
    assert session.mail("a@example.net", "x@code.example").accepted == ("x@code.example",)
    assert session.mail("spammer@example.net", "x@code.example").reply.text == "not from you"
    assert server.records("Reception")[0]["handlers"][0]["event"] == "smtp_server_mail_from"


def test_a_policy_of_the_test_itself(mta, tmp_path):
    """A `Policy` object is served as it is, and shares what the test shares with it."""
    customers = set()
    (tmp_path / "angarium.toml").write_text(FILES["angarium.toml"].partition("[policy]")[0])
    policy = Policy.load(tmp_path / "angarium.toml")

    @policy.on
    def get_listener_domain(domain, listener, conn_meta):
        if domain == "broken.example":
            raise LookupError("the directory is down")
        return ListenerDomain(relay_to=domain in customers)

    server = mta(policy)
    server.expect("refuse", "a@example.net", "x@new.example")
    customers.add("new.example")
    server.expect("relay", "a@example.net", "x@new.example")
    server.expect("451", "a@example.net", "x@broken.example")
    with pytest.raises(NoDecision, match="451"):
        server.decide("a@example.net", "x@broken.example")


def test_a_text_is_a_policy(mta):
    """The text of a main file serves; another path than one that exists does not."""
    server = mta('hostname = "mx.example.com"\n[[listener]]\nlisten = "127.0.0.1:2525"\n')
    assert server.session(peer="127.0.0.1").banner.text.startswith("mx.example.com")
    with pytest.raises(ConfigError, match=r"nowhere\.toml"):
        mta("nowhere.toml")


def test_a_broken_policy_is_an_error(mta):
    """A policy with a problem is not served; the error has file and line."""
    with pytest.raises(ConfigError, match=r"angarium\.toml:2"):
        mta('hostname = "mx.example.com"\nhostnam = "x"\n[[listener]]\nlisten = "127.0.0.1:25"\n')


def test_the_queue_survives_a_restart(server):
    """What waits in the spool is delivered after the server was stopped and started again."""
    server.next_hop("10.0.0.1", {"connect": Do.CLOSE})
    server.session().mail("a@example.net", "user@example.com")
    server.restart()
    assert [waiting.recipient for waiting in server.queue] == ["user@example.com"]
    server.next_hop("10.0.0.1", {})
    server.advance(hours=1)
    assert len(server.delivered) == 1


def test_a_reload_writes_no_files_of_yours(mta, tmp_path):
    """Files go with a policy given as texts; one of your own is yours to write, and that is said."""
    (tmp_path / "angarium.toml").write_text('[[listener]]\nlisten = "0.0.0.0:25"\n')
    server = mta(tmp_path / "angarium.toml")
    with pytest.raises(ValueError, match="write your own files"):
        server.reload({"angarium.toml": ""})
    assert (tmp_path / "angarium.toml").read_text()


def test_a_reload_takes_effect_in_open_sessions(server):
    """`reload` puts changed files in force, for sessions that are open too; broken ones change nothing."""
    session = server.session()
    server.reload({"domains.toml": '["example.org"]\nrelay_to = true\n'})
    assert session.mail("a@example.net", "x@example.org").is_accepted
    assert not session.mail("a@example.net", "x@example.com").is_accepted
    with pytest.raises(ConfigError):
        server.reload({"domains.toml": '["example.org"]\nrelay = true\n'})
    assert session.mail("a@example.net", "x@example.org").is_accepted


def test_idle_sessions_time_out_in_virtual_time(server):
    """A client that says nothing for client_timeout is told 421."""
    session = server.session(listener="inside")
    server.advance(minutes=4)
    assert not session.is_closed
    server.advance(minutes=2)
    assert session.is_closed


def test_no_socket_is_opened(mta, monkeypatch):
    """Neither door opens a socket, whatever the policy's listeners say."""

    def refuse(*_args, **_options):
        raise AssertionError("a socket")

    server = mta(FILES)
    monkeypatch.setattr(socket.socket, "bind", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert server.session().mail("a@example.net", "user@example.com").is_accepted
    assert len(server.delivered) == 1


def test_every_run_is_the_same(mta):
    """Ids, retries and times are those of the last run: a test that passes, passes."""

    def story(server):
        server.next_hop("10.0.0.1", {"mail": "451 4.3.0 later"})
        server.session().mail("a@example.net", "user@example.com")
        server.advance(hours=5)
        return [(record["type"], record["id"], record["event_time"]) for record in server.records()]

    assert story(mta(FILES)) == story(mta(FILES))
