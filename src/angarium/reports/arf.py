"""What does a feedback report state? (RFC 5965, RFC 6591; Microsoft's mail without a feedback part)

Each field is read on its own, under the JSON names of the log record. Recipient, source address and date
are taken from the returned message where the provider leaves them out, and then marked `derived`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, Final

from angarium.mail.mime import Fields
from angarium.reports.fields import clean_address, gather, has_controls, read_blocks, read_date, read_mta
from angarium.reports.original import recipients_of
from angarium.reports.values import Feedback, Mark, Texts

_SINGLE: Final = {
    "feedback-type": "feedback_type",
    "user-agent": "user_agent",
    "version": "version",
    "original-envelope-id": "original_envelope_id",
    "original-mail-from": "original_mail_from",
    "source-ip": "source_ip",
}
_MULTIPLE: Final = {
    "authentication-results": "authentication_results",
    "original-rcpt-to": "original_rcpt_to",
    "original-rcptto": "original_rcpt_to",
    "original-rcpto-to": "original_rcpt_to",
    "reported-domain": "reported_domain",
    "reported-uri": "reported_uri",
}
_OTHERWISE: Final = frozenset({"arrival-date", "received-date", "incidents", "reporting-mta"})
_ADDRESSES: Final = frozenset(
    {"original-mail-from", "original-rcpt-to", "original-rcptto", "original-rcpto-to"}
)
# Fields of which one at least makes a part a feedback report that is worth recording.
_TELLING: Final = frozenset(
    {"feedback-type", "abuse-type", "source-ip", "original-mail-from", "original-rcpt-to"}
)

# Networks of no public host: hops inside the provider's own house, or inside ours.
_PRIVATE: Final = tuple(
    map(
        ip_network,
        (
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
            "192.168.0.0/16", "::/127", "fc00::/7", "fe80::/10",
        ),
    )
)  # fmt: skip
_LITERAL = re.compile(r"\[?(?:IPv6:)?([^\]]*)\]?", re.IGNORECASE)

_SOURCE_IP = re.compile(
    r"\b(?:from IP|IP address|source[- ]ip:?|from)\s+\[?([0-9A-Fa-f.:]{7,45})\b", re.IGNORECASE
)
_ON_DATE = re.compile(r"\bon ((?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? [^\n<]{10,60})")
_HOP_IP = re.compile(r"\[(?:IPv6:)?([0-9A-Fa-f.:]{7,45})\]")


def read_arf(text: str, prose: str, returned: Fields) -> Feedback | None:
    """Read a feedback part's text, the human part and the returned fields; None if it says nothing."""
    stated = gather(field for block in read_blocks([text]) for field in block)
    fields = {name: told for name, texts in stated.items() if (told := tuple(filter(None, texts)))}
    if not (fields and _TELLING & stated.keys()):
        return None
    values, unparsed = _values(fields)
    marks: dict[str, Mark] = dict.fromkeys(values, "reported")
    for name, value in _recovered(values, prose, returned).items():
        values[name], marks[name] = value, "derived"
    return Feedback(
        **values,
        extensions=_extensions(fields),
        unparsed=unparsed,
        fields=fields,
        marks=marks,
    )


def read_jmrp(prose: str, returned: Fields) -> Feedback:
    """Microsoft's JMRP mail: no feedback part, but a returned message with fields of Microsoft's own."""
    recovered = _recovered({}, prose, returned)
    values = {"feedback_type": "abuse", **recovered}
    return Feedback(**values, marks=dict.fromkeys(values, "derived"))


def _values(fields: Texts) -> tuple[dict[str, Any], Texts]:
    values: dict[str, Any] = {}
    unparsed: Texts = {}
    for name, texts in fields.items():
        cleaned = tuple(map(clean_address, _parted(texts))) if name in _ADDRESSES else texts
        if name in _ADDRESSES and any(map(has_controls, cleaned)):
            unparsed[name] = texts
        elif name == "source-ip":
            address = _read_ip(texts[0])
            values |= {"source_ip": str(address)} if address else {}
            unparsed |= {} if address else {name: texts}
        elif name in _SINGLE:
            values[_SINGLE[name]] = cleaned[0]
        elif name in _MULTIPLE:
            key = _MULTIPLE[name]
            values[key] = tuple(dict.fromkeys((*values.get(key, ()), *cleaned)))
    if "feedback_type" in values:
        values["feedback_type"] = values["feedback_type"].split()[0].strip(";,\"'").lower()
    elif "complaint" in " ".join(fields.get("abuse-type", ())).lower():
        values["feedback_type"] = "abuse"
    _read_others(fields, values, unparsed)
    return values, unparsed


def _read_others(fields: Texts, values: dict[str, Any], unparsed: Texts) -> None:
    for name in ("arrival-date", "received-date"):
        date = read_date(fields[name][0]) if name in fields else None
        if date:
            values.setdefault("arrival_date", date)
        elif name in fields:
            unparsed[name] = fields[name]
    if "incidents" in fields:
        number = fields["incidents"][0].strip()
        if number.isascii() and number.isdigit() and len(number) < 10:
            values["incidents"] = int(number)
        else:
            unparsed["incidents"] = fields["incidents"]
    mta = read_mta(fields["reporting-mta"][0]) if "reporting-mta" in fields else None
    if mta:
        values["reporting_mta"] = mta


def _extensions(fields: Texts) -> Texts:
    known = _SINGLE.keys() | _MULTIPLE.keys() | _OTHERWISE
    return {name: texts for name, texts in fields.items() if name not in known}


def _recovered(values: dict[str, Any], prose: str, returned: Fields) -> dict[str, Any]:
    """What the report itself does not state, but its human part or the returned message shows."""
    found: dict[str, Any] = {
        "original_rcpt_to": recipients_of(returned),
        "source_ip": _first_ip(_SOURCE_IP.findall(prose)) or _sender_ip(returned),
        "arrival_date": _date(prose, returned),
    }
    return {name: value for name, value in found.items() if value and not values.get(name)}


def _sender_ip(returned: Fields) -> str | None:
    """The address that handed our message over: in a field for it, else of the hop that came from outside."""
    for name in ("x-originating-ip", "x-sender-ip"):
        found = _first_ip(_HOP_IP.findall(returned.get(name, [""])[0]))
        if found:
            return found
    return _first_ip(_HOP_IP.findall(_hop_from_outside(returned)))


def _hop_from_outside(returned: Fields) -> str:
    """The topmost Received field that shows a public address; the topmost of all where none does."""
    hops = returned.get("received", ())
    return next((hop for hop in hops if _first_ip(_HOP_IP.findall(hop))), hops[0] if hops else "")


def _first_ip(texts: Iterable[str]) -> str | None:
    """The first public address."""
    addresses = map(_read_ip, texts)
    return next((str(address) for address in addresses if address and not _is_private(address)), None)


def _read_ip(text: str) -> IPv4Address | IPv6Address | None:
    """An address, also as a literal of SMTP (`[192.0.2.1]`, `[IPv6:2001:db8::1]`)."""
    literal = _LITERAL.match(text.strip())
    try:
        return ip_address(literal[1].strip()) if literal else None
    except ValueError:
        return None


def _is_private(address: IPv4Address | IPv6Address) -> bool:
    return any(address in network for network in _PRIVATE)


def _parted(texts: Iterable[str]) -> list[str]:
    """Addresses that stand in one field, one by one; RFC 5965 has a field for each."""
    return [part for text in texts for part in ([text] if '"' in text else text.strip(" ,").split(","))]


def _date(prose: str, returned: Fields) -> str | None:
    match = _ON_DATE.search(prose)
    stated = read_date(match[1]) if match else None
    date = stated or read_date(_hop_from_outside(returned).rpartition(";")[2].strip())
    return date or (read_date(returned["date"][0]) if "date" in returned else None)
