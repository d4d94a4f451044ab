"""What must hold whatever strangers send, on octets that look a little like what is read."""

import pytest
from fuzz.targets import TARGETS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

WORDS = {
    "receiver": [
        *(
            b"EHLO a",
            b"HELO a",
            b"MAIL FROM:<a@b.example>",
            b"MAIL FROM:<>",
            b"RCPT TO:<a@b.example>",
            b"DATA",
        ),
        *(
            b"BDAT 5",
            b"BDAT 3 LAST",
            b"RSET",
            b"QUIT",
            b"AUTH PLAIN",
            b"AUTH LOGIN YQ==",
            b"STARTTLS",
            b"NOOP",
        ),
        *(
            b"XCLIENT ADDR=192.0.2.1",
            b"VRFY a",
            b"\r\n",
            b"\r\n",
            b"\r\n",
            b".\r\n",
            b"..",
            b"\n",
            b"\r",
            b"\0",
        ),
        *(b" SIZE=9999", b" SMTPUTF8", b" BODY=8BITMIME", b"\xc3\xbc", b'"a b"', b"@x:", b"*\r\n"),
    ],
    "sender": [
        *(
            b"220 a\r\n",
            b"250 a\r\n",
            b"250-PIPELINING\r\n",
            b"250 SIZE 10\r\n",
            b"354 go\r\n",
            b"550 no\r\n",
        ),
        *(b"421 bye\r\n", b".\r\n", b"\n", b"..\r\n", b"\r\n.\r\n", b"text", b"99 x\r\n", b"\xff"),
    ],
    "address": [
        b"a",
        b"@",
        b".",
        b'"',
        b"\\",
        b"[",
        b"]",
        b"IPv6:",
        b"::1",
        b"xn--",
        b"\xc3\xbc",
        b"%",
        b"\r\n",
    ],
    "proxy": [
        *(b"PROXY ", b"TCP4 ", b"TCP6 ", b"UNKNOWN", b"192.0.2.1 ", b"::1 ", b"25", b"\r\n", b"EHLO a\r\n"),
        *(b"\r\n\r\n\0\r\nQUIT\n", b"\x21\x11\0\x0c", b"\x20\0\0\0", b"\xc0\0\2\1"),
    ],
    "sasl": [
        b"\0",
        b"a",
        b"n,,n=a,r=b",
        b"c=biws,r=b",
        b"nonce,p=",
        b"v=",
        b"y,a=b,",
        b"\n",
        b"\1auth=Bearer x\1\1",
    ],
    "toml": [
        *(
            b'["a.example"]\n',
            b"relay_to = true\n",
            b'["*"]\n',
            b"[listener.x.y]\n",
            b"[",
            b"]",
            b'"',
            b"=",
            b"\n",
        ),
        *(
            b'{"a": {"relay_to": true}}',
            b"ttl = 1\n",
            b"#",
            b'"""',
            b"relay_from = ['10.0.0.0/8']\n",
            b"\xff",
        ),
    ],
    "report": [
        *(
            b"Content-Type: multipart/report; boundary=b; report-type=delivery-status\r\n",
            b"\r\n",
            b"--b\r\n",
        ),
        *(b"--b--\r\n", b"Content-Type: message/delivery-status\r\n", b"Final-Recipient: rfc822; a@b\r\n"),
        *(
            b"Action: failed\r\n",
            b"Status: 5.1.1\r\n",
            b"Content-Transfer-Encoding: base64\r\n",
            b"\0",
            b"\n",
        ),
    ],
    "trace": [
        b"v=1;",
        b"k=k1;",
        b"t=1712000000;",
        b"s=",
        b"d=e30",
        b"A" * 43,
        b"b+",
        b"0" * 32,
        b".k1.",
        b"eyJ",
    ],
    "spool": [],
}


def octets(words):
    pieces = st.one_of(st.sampled_from(words), st.binary(max_size=20)) if words else st.binary(max_size=40)
    return st.lists(pieces, max_size=30).map(b"".join)


@pytest.mark.parametrize("name", TARGETS)
def test_invariants(name):
    """No octets break what is promised of a reader."""
    examples = 25 if name == "spool" else 250

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(octets(WORDS[name]))
    def run(data):
        TARGETS[name](data)

    run()
