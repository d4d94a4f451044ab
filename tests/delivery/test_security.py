"""delivery.security and net.dane: what DANE and MTA-STS ask for, and hosts that cannot meet it."""

import asyncio
import hashlib
import ssl

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from angarium.delivery.outcome import Kind, Stage
from angarium.delivery.plan import Demand
from angarium.net.dane import Tlsa, is_promised, usable
from angarium.net.dns import DnsResolver
from angarium.net.mta_sts import Policy
from angarium.testing.dns import DnsServer, StaticResolver
from angarium.testing.nexthop import NextHop


class Chain:
    """A certificate with its authority, as a server and in TLSA records."""

    def __init__(self, *names):
        self.authority = trustme.CA()
        issued = self.authority.issue_cert(*names)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        issued.configure_cert(self.context)
        pems = [issued.cert_chain_pems[0].bytes(), self.authority.cert_pem.bytes()]
        self.certificates = [x509.load_pem_x509_certificate(pem) for pem in pems]
        with_authority = issued.private_key_and_cert_chain_pem.bytes() + pems[1]
        with trustme.Blob(with_authority).tempfile() as path:
            self.context.load_cert_chain(path)

    @property
    def der(self):
        return [each.public_bytes(serialization.Encoding.DER) for each in self.certificates]

    def record(self, usage, selector, matching, certificate=0):
        """A TLSA record for one of the certificates, as a zone file writes it."""
        octets = self.der[certificate]
        if selector:
            key = self.certificates[certificate].public_key()
            octets = key.public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        data = [octets.hex(), hashlib.sha256(octets).hexdigest(), hashlib.sha512(octets).hexdigest()][
            matching
        ]
        return f"{usage} {selector} {matching} {data}"


@pytest.fixture(scope="module")
def chain():
    """The certificate of mx.example."""
    return Chain("mx.example")


@pytest.mark.parametrize("matching", [0, 1, 2])
@pytest.mark.parametrize("selector", [0, 1])
@pytest.mark.parametrize(("usage", "certificate"), [(3, 0), (2, 1)])
def test_records_that_hold(chain, usage, certificate, selector, matching):
    """The host's own certificate or key, or an authority of its chain, whole or as a digest."""
    record = Tlsa.parse(chain.record(usage, selector, matching, certificate))
    assert usable(record)
    assert is_promised(chain.der, [record], ["mx.example"])
    assert not is_promised(Chain("mx.example").der, [record], ["mx.example"])


def test_names_count_for_authorities_only(chain):
    """DANE-EE asks for no name; DANE-TA does (RFC 7672 sections 3.1.1 and 3.1.2)."""
    own, authority = (Tlsa.parse(chain.record(usage, 1, 1, usage == 2)) for usage in (3, 2))
    assert is_promised(chain.der, [own], ["other.example"])
    assert not is_promised(chain.der, [authority], ["other.example"])
    assert not is_promised([b"junk"], [own], ["mx.example"])


def test_records_of_no_use():
    """PKIX usages, unknown numbers, digests of a wrong length and text that is no record are of no use."""
    digest = "00" * 32
    records = ["1 1 1 ", "0 0 1 ", "3 2 1 ", "3 1 9 ", "3 1 2 ", "3 1 1 00", "3 1 1 xyz"]
    records = [record + digest for record in records] + ["", "3 1", "3 1 0", "\\# 2 0301", "\\# 5 0301010011"]
    assert not any(usable(Tlsa.parse(record)) for record in records)
    assert usable(Tlsa.parse(f"3 1 1 {digest}"))


def deliver(run, chain, records, *, is_secure=True, tls="dane", extra=None, policies=None):
    """Deliver to the MX host of example.net, whose TLSA records are these."""

    async def test(house):
        async with NextHop(tls=chain.context if chain else None) as hop:
            zone.update({f"_{hop.port}._tcp.mx.example": {"TLSA": records} if records else {}})
            zone.update({f"_{hop.port}._tcp.{name}": value for name, value in (extra or {}).items()})
            queue = house.queue("example.net", smtp_port=hop.port, prohibited_hosts=(), tls=tls)
            return await house.deliver(queue), hop

    zone = {"example.net": {"MX": ["10 mx.example."]}, "mx.example": {"A": ["127.0.0.1"]}}
    [outcome], hop = run(test, resolver=StaticResolver(zone, is_secure=is_secure), policies=policies)
    return outcome, hop


def test_dane(run, chain):
    """A host that has the certificate of its TLSA records gets the mail; the way's name says by what."""
    outcome, hop = deliver(run, chain, [chain.record(3, 1, 1)])
    assert (outcome.kind, hop.taken[0].is_encrypted) == (Kind.DELIVERED, True)
    assert outcome.site == f"mx.example:{hop.port};dane;tls=dane"


def test_dane_with_another_certificate(run, chain):
    """Another certificate gets no mail: nothing bounces, and nothing falls back."""
    outcome, hop = deliver(run, chain, [Chain("mx.example").record(3, 1, 1)])
    assert (outcome.kind, outcome.stage, hop.taken) == (Kind.TRANSIENT, Stage.STARTTLS, [])
    assert "TLS is required by the TLSA records of mx.example" in str(outcome.reply)


def test_dane_without_starttls(run):
    """A host with TLSA records that offers no TLS gets no mail."""
    outcome, hop = deliver(run, None, ["3 1 1 00"])
    assert (outcome.kind, hop.taken) == (Kind.TRANSIENT, [])


def test_a_malformed_record_spoils_no_other(run, chain):
    """A record cut short, or whose digest is too short, is of no use; the good one beside them counts."""

    async def look_up():
        async with DnsServer({"mx.example": {"TLSA": records}}, is_secure=True) as server:
            return await DnsResolver([server.endpoint], limit=2).lookup("mx.example", "TLSA")

    good = chain.record(3, 1, 1)
    records = ["\\# 2 0301", good, "\\# 5 0301010011"]
    found = asyncio.run(look_up())
    assert (sorted(found.records), found.is_secure) == (sorted(records), True)
    assert deliver(run, chain, found.records)[0].kind is Kind.DELIVERED
    outcome, hop = deliver(run, Chain("mx.example"), found.records)
    assert (outcome.stage, hop.taken) == (Stage.STARTTLS, [])


def test_dane_with_records_of_no_use(run, chain):
    """Records that nobody can use still say that there is TLS; any certificate will do."""
    outcome, hop = deliver(run, chain, ["1 1 1 00"])
    assert (outcome.kind, hop.taken[0].is_encrypted) == (Kind.DELIVERED, True)
    assert deliver(run, None, ["1 1 1 00"])[0].kind is Kind.TRANSIENT


@pytest.mark.parametrize(("records", "is_secure"), [(["3 1 1 00"], False), ([], True)])
def test_dane_that_nobody_vouches_for(run, chain, records, is_secure):
    """Without DNSSEC, or without records, TLS is opportunistic."""
    outcome, hop = deliver(run, chain, records, is_secure=is_secure)
    assert (outcome.kind, hop.taken[0].is_encrypted) == (Kind.DELIVERED, True)
    assert ";dane;" not in outcome.site


def test_dane_when_dns_is_in_trouble(run, chain):
    """Where the TLSA records cannot be looked up, the host is not used: it may be an attack."""
    outcome, hop = deliver(run, chain, [], extra={"mx.example": "SERVFAIL"})
    assert (outcome.kind, hop.connections) == (Kind.TRANSIENT, 0)
    assert "TLSA records cannot be looked up" in str(outcome.reply)


class Known:
    """Policies that are known already."""

    def __init__(self, mode, *mx):
        self._policy = Policy(mode, mx, 1000.0)

    async def policy(self, domain):
        return self._policy if domain == "example.net" else None


def test_mta_sts_names_the_hosts(run, chain):
    """Under a policy that enforces, hosts that it does not name get nothing."""
    outcome, hop = deliver(run, chain, [], tls="mta-sts", policies=Known("enforce", "other.example"))
    assert (outcome.kind, hop.connections) == (Kind.TRANSIENT, 0)
    assert "the MTA-STS policy of example.net names none of its MX hosts" in str(outcome.reply)


def test_mta_sts_wants_a_certificate(run, chain):
    """Under a policy that enforces, the certificate has to be believed."""
    outcome, hop = deliver(run, chain, [], tls="mta-sts", policies=Known("enforce", "mx.example"))
    assert (outcome.kind, outcome.stage, hop.taken) == (Kind.TRANSIENT, Stage.STARTTLS, [])
    assert outcome.site == f"mx.example:{hop.port};mta-sts=example.net;tls=mta-sts"


@pytest.mark.parametrize("mode", ["testing", "none"])
def test_mta_sts_that_does_not_enforce(run, chain, mode):
    """A policy that is tested, or that says none, stands between no mail and its host."""
    outcome, hop = deliver(run, chain, [], tls="mta-sts", policies=Known(mode, "other.example"))
    assert (outcome.kind, hop.taken[0].is_encrypted) == (Kind.DELIVERED, True)


def test_what_dnssec_vouches_for():
    """The resolver passes on what the name server says, and forgets nothing of it in its cache."""

    async def test():
        async with DnsServer({"a.example": {"A": ["192.0.2.1"], "TXT": ['"Ab Cd"']}}) as server:
            resolver = DnsResolver([server.endpoint])
            plain = await resolver.lookup("a.example", "TXT")
            server.is_secure = True
            secure = await resolver.lookup("a.example", "A")
            return plain, secure, await resolver.lookup("a.example", "A")

    plain, secure, again = asyncio.run(test())
    assert (plain.records, plain.is_secure) == (('"Ab Cd"',), False)
    assert secure.is_secure
    assert again.is_secure


@pytest.mark.parametrize(
    ("demand", "is_kept"),
    [
        (Demand("none"), True),
        (Demand("offered"), False),
        (Demand("required", verify=True), True),
        (Demand("required", why="TLSA records that nobody can use"), False),
    ],
)
def test_credentials_go_to_hosts_that_prove_who_they_are(demand, is_kept):
    """Whatever else asks for TLS, a host that has proved nothing is told no password."""
    asked = demand.for_credentials()
    assert (asked == demand) is is_kept
    assert asked.verify or asked.tls == "none"
