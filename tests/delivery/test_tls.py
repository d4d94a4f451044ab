"""delivery.link: TLS and AUTH towards next hops, and what becomes of mail where they fail."""

import base64
import ssl
from itertools import takewhile

import pytest
import trustme

from angarium.delivery.outcome import Kind, Stage
from angarium.policy.shaping import Credentials
from angarium.testing.network import Network
from angarium.testing.nexthop import Do, NextHop

EHLO_AUTH = "250-next.hop\n250 AUTH {}"


@pytest.fixture(scope="module")
def authority():
    """An authority of the tests' own."""
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority, tmp_path_factory):
    """Its certificate, as an operator would name it."""
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


def context(authority, *names):
    """A server's side of TLS, with a certificate for these names."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(made)
    return made


@pytest.fixture(scope="module")
def valid(authority):
    """A server with a certificate for 127.0.0.1."""
    return context(authority, "127.0.0.1")


@pytest.fixture(scope="module")
def foreign(authority):
    """A server with a certificate for somebody else."""
    return context(authority, "elsewhere.example")


def attempt(run, *scripts, tls=None, number=1, **shaping):
    """Deliver messages one after the other to a next hop, under these options."""

    async def test(house):
        async with NextHop(*scripts, tls=tls) as hop:
            queue = house.queue(f"example.net!{hop.route}")
            outcomes = [(await house.deliver(queue))[0] for _ in range(number)]
            await house.dispatcher.drain(10)
            await hop.until(lambda: hop.open == 0)
            return outcomes, hop

    return run(test, shaping=shaping)


def test_opportunistic(run, foreign):
    """TLS is used where it is offered, whatever the certificate; EHLO is said again; records say how."""
    [outcome], hop = attempt(run, tls=foreign)
    assert outcome.kind is Kind.DELIVERED
    assert [line.partition(" ")[0] for line in hop.commands[0]] == [
        "EHLO",
        "STARTTLS",
        "EHLO",
        "MAIL",
        "RCPT",
        "DATA",
        "QUIT",
    ]
    assert hop.taken[0].is_encrypted
    passage = outcome.passage
    assert (passage.tls.version, passage.tls.peer_subject, passage.tls_fallback) == ("TLSv1.3", (), "")
    assert passage.source_address.startswith("127.0.0.1:")


def test_none(run, valid):
    """`none` leaves TLS alone."""

    async def test(house):
        async with NextHop(tls=valid) as plain:
            [sent] = await house.deliver(house.queue(f"example.net!{plain.route}", tls="none"))
            return sent, plain

    outcome, hop = run(test)
    assert (outcome.kind, outcome.passage.tls, hop.taken[0].is_encrypted) == (Kind.DELIVERED, None, False)
    assert outcome.site == f"{hop.route};tls=none"


FAILING = [
    ({"starttls": "454 4.7.0 Not now"}, 1, "STARTTLS was refused: 454 4.7.0 Not now"),
    ({"handshake": Do.CLOSE}, 2, "the peer left during the TLS handshake"),
    ({"handshake": Do.HANG}, 2, "no TLS handshake in time"),
    ({"handshake": "250 what?"}, 2, "TLS: wrong version number"),
    (
        {"starttls": "220 2.0.0 Go on\n250 what?"},
        2,
        "Not SMTP at STARTTLS: octets behind the answer to STARTTLS",
    ),
]


@pytest.mark.parametrize(("script", "connections", "why"), FAILING)
def test_opportunistic_falls_back(run, valid, script, connections, why):
    """A handshake that fails costs a connection, never the message; the reason is recorded."""
    [outcome], hop = attempt(run, script, tls=valid)
    assert (outcome.kind, hop.connections, hop.taken[0].is_encrypted) == (Kind.DELIVERED, connections, False)
    assert outcome.passage.tls is None
    assert outcome.passage.tls_fallback == why


@pytest.fixture(scope="module")
def private(authority):
    """A server that wants a certificate of its clients, and says so when the handshake of TLS 1.3 is done."""
    made = context(authority, "127.0.0.1")
    made.verify_mode = ssl.CERT_REQUIRED
    return made


LEAVING = [
    ("private", {}, "after the TLS handshake: Connection lost at EHLO: TLS: tlsv13 alert"),
    ("valid", {"ehlo": [Do.ACCEPT, Do.CLOSE]}, "after the TLS handshake: Connection lost at EHLO"),
]


@pytest.mark.parametrize(("tls", "script", "why"), LEAVING)
def test_an_end_right_after_the_handshake_is_a_failed_one(run, request, tls, script, why):
    """With TLS 1.3 a host can refuse only when our handshake is done: that leads to clear text too."""
    [outcome], hop = attempt(run, script, tls=request.getfixturevalue(tls))
    assert (outcome.kind, hop.connections, hop.taken[0].is_encrypted) == (Kind.DELIVERED, 2, False)
    assert outcome.passage.tls is None
    assert outcome.passage.tls_fallback.startswith(why)


@pytest.mark.parametrize(("tls", "script", "why"), LEAVING)
def test_where_tls_is_required_an_end_after_the_handshake_is_the_end(run, request, ca_file, tls, script, why):
    """No clear text follows, whatever came of the connection."""

    async def test(house):
        async with NextHop(script, tls=request.getfixturevalue(tls)) as hop:
            return await house.deliver(house.queue(f"example.net!{hop.route}", tls="required")), hop

    [outcome], hop = run(test, shaping={"tls_ca": ca_file})
    assert (outcome.kind, outcome.stage, hop.taken, hop.connections) == (Kind.TRANSIENT, Stage.EHLO, [], 1)


def test_an_end_after_an_answer_over_tls_is_no_failed_handshake(run, valid):
    """Who has refused EHLO over TLS and leaves at HELO has shaken hands: no clear text follows."""
    script = {"ehlo": [Do.ACCEPT, "550 5.7.1 No"], "helo": Do.CLOSE}
    [outcome], hop = attempt(run, script, tls=valid)
    assert (outcome.kind, outcome.stage, hop.connections) == (Kind.TRANSIENT, Stage.EHLO, 1)


def test_a_failed_handshake_is_remembered(run, valid):
    """The next connection to that host does not try again, for a while."""

    async def test(house):
        async with NextHop({"handshake": Do.CLOSE}, tls=valid) as hop:
            queue = house.queue(f"example.net!{hop.route}")
            outcomes = await house.deliver(queue)
            await house.sleep(60)
            outcomes += await house.deliver(queue)
            await house.sleep(700)
            return [*outcomes, *await house.deliver(queue)], hop.connections

    outcomes, connections = run(test)
    assert [outcome.passage.tls is not None for outcome in outcomes] == [False, False, True]
    assert (outcomes[1].passage.tls_fallback, connections) == ("the peer left during the TLS handshake", 4)


@pytest.mark.parametrize(("script", "connections", "why"), FAILING)
def test_required_does_without_nothing(run, valid, ca_file, script, connections, why):
    """Where TLS is required nothing is sent without it; nothing bounces, and the reason is told."""

    async def test(house):
        async with NextHop(script, tls=valid) as hop:
            [outcome] = await house.deliver(house.queue(f"example.net!{hop.route}", tls="required"))
            return outcome, hop

    outcome, hop = run(test, shaping={"tls_ca": ca_file})
    assert (outcome.kind, outcome.stage, hop.taken, hop.connections) == (
        Kind.TRANSIENT,
        Stage.STARTTLS,
        [],
        1,
    )
    assert str(outcome.reply).startswith("451 4.7.5 TLS is required by tls = 'required': ")
    assert why in str(outcome.reply)


@pytest.mark.parametrize(
    ("offers", "why"),
    [("foreign", "the certificate is not believed: IP address mismatch"), (None, "STARTTLS is not offered")],
)
def test_required_wants_a_certificate(run, request, ca_file, offers, why):
    """A certificate for somebody else will not do, nor will none."""
    tls = request.getfixturevalue(offers) if offers else None
    [outcome], hop = _required(run, tls, ca_file)
    assert (outcome.kind, hop.taken) == (Kind.TRANSIENT, [])
    assert why in str(outcome.reply)


def _required(run, tls, ca_file):
    async def test(house):
        async with NextHop(tls=tls) as hop:
            return await house.deliver(house.queue(f"example.net!{hop.route}", tls="required")), hop

    return run(test, shaping={"tls_ca": ca_file})


def test_required_with_a_valid_certificate(run, valid, ca_file):
    """A certificate that is believed is named in the records."""
    [outcome], hop = _required(run, valid, ca_file)
    assert (outcome.kind, hop.taken[0].is_encrypted) == (Kind.DELIVERED, True)
    assert outcome.passage.tls.peer_subject


def test_a_host_that_hangs_at_starttls(run, valid):
    """A host that says nothing to STARTTLS costs its time-out, and nothing bounces."""

    async def test(house):
        async with NextHop({"starttls": Do.HANG}, tls=valid) as hop:
            begun = house.clock.now()
            [outcome] = await house.deliver(house.queue(f"example.net!{hop.route}"))
            return outcome, house.clock.now() - begun

    outcome, seconds = run(test, shaping={"starttls_timeout": 7.0})
    assert (outcome.kind, outcome.stage, round(seconds)) == (Kind.TRANSIENT, Stage.STARTTLS, 7)


# AUTH

US = Credentials("us", password_env="RELAY_PASSWORD")


@pytest.fixture(autouse=True)
def password(monkeypatch):
    """Our password, where the operator keeps it."""
    monkeypatch.setenv("RELAY_PASSWORD", "hunter2")


def said(hop):
    """What the next hop heard in AUTH, decoded."""
    lines = takewhile(lambda line: not line.startswith("MAIL"), hop.commands[0][1:])
    answers = [line.removeprefix("AUTH PLAIN ") for line in lines if line != "AUTH LOGIN"]
    return [base64.b64decode(answer) for answer in answers]


def test_auth_plain(run):
    """PLAIN is said at once, before MAIL."""
    [outcome], hop = attempt(run, {"ehlo": EHLO_AUTH.format("LOGIN PLAIN")}, auth=US)
    assert outcome.kind is Kind.DELIVERED
    assert said(hop) == [b"\0us\0hunter2"]


def test_auth_login(run):
    """LOGIN, where there is nothing better: name and password, each when asked for."""
    script = {
        "ehlo": EHLO_AUTH.format("LOGIN"),
        "auth": ["334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6", "235 2.7.0 Welcome"],
    }
    [outcome], hop = attempt(run, script, auth=US)
    assert outcome.kind is Kind.DELIVERED
    assert said(hop) == [b"us", b"hunter2"]


@pytest.mark.parametrize(
    ("script", "answer"),
    [
        (
            {"ehlo": EHLO_AUTH.format("PLAIN"), "auth": "535 5.7.8 wrong password hunter2"},
            "4.7.8 The next hop refused us: 535 5.7.8",
        ),
        ({"ehlo": EHLO_AUTH.format("CRAM-MD5")}, "4.7.4 The next hop offers none of AUTH PLAIN and LOGIN"),
    ],
)
def test_auth_that_fails(run, script, answer):
    """Nothing bounces, and the password is in no reply, whatever the host repeats."""
    [outcome], hop = attempt(run, script, auth=US)
    assert (outcome.kind, outcome.stage, hop.taken) == (Kind.TRANSIENT, Stage.AUTH, [])
    assert answer in str(outcome.reply)
    assert "hunter2" not in repr(outcome)


def test_auth_without_a_password(run, monkeypatch):
    """A password that is missing is named by its place."""
    monkeypatch.delenv("RELAY_PASSWORD")
    [outcome], _ = attempt(run, {"ehlo": EHLO_AUTH.format("PLAIN")}, auth=US)
    assert "No credentials for us: the environment has no RELAY_PASSWORD" in str(outcome.reply)


def test_a_host_that_hangs_at_auth(run):
    """Silence in AUTH costs its time-out."""
    [outcome], _ = attempt(
        run, {"ehlo": EHLO_AUTH.format("PLAIN"), "auth": Do.HANG}, auth=US, auth_timeout=7.0
    )
    assert (outcome.kind, outcome.stage) == (Kind.TRANSIENT, Stage.AUTH)


@pytest.mark.parametrize(("tls", "stage"), [("opportunistic", Stage.STARTTLS), ("none", Stage.AUTH)])
def test_credentials_stay_at_home_without_tls(run, tls, stage):
    """Away from loopback nothing is told to a host that has not proved who it is."""

    network = Network()
    network.hop("192.0.2.9").follow([{"ehlo": EHLO_AUTH.format("PLAIN")}])

    async def deliver(house):
        return await house.deliver(house.queue("example.net![192.0.2.9]", tls=tls))

    [outcome] = run(deliver, setup={"connect": network.connect}, shaping={"auth": US})
    assert (outcome.kind, outcome.stage) == (Kind.TRANSIENT, stage)
    assert not any("AUTH" in line for lines in network.hop("192.0.2.9").commands for line in lines)
