"""What does the reply in a record mean? The one place where records get their class.

Only records of failures are looked at, so that a delivery costs nothing here. Rules are written for what
others say: what this server says itself of an attempt has its class by its status code, whatever it quotes.
"""

from __future__ import annotations

from typing import Final

from angarium.log.records import Record, RecordType, Response
from angarium.reports.classify import Classifier, Verdict

CLASSIFIED: Final[frozenset[RecordType]] = frozenset(
    {"Bounce", "TransientFailure", "Expiration", "AdminBounce", "OOB", "Rejection"}
)
_ABOUT_ADDRESSES: Final[frozenset[RecordType]] = frozenset({"Bounce", "OOB"})
_OURS: Final[dict[tuple[int, int], str]] = {
    (1, 10): "BadDomain",
    (3, 0): "TransientFailure",
    (3, 2): "TransientFailure",
    (3, 4): "QuotaIssues",
    (3, 5): "BadConfiguration",
    (4, 1): "NoAnswerFromHost",
    (4, 2): "BadConnection",
    (4, 3): "DNSFailure",
    (4, 4): "RoutingErrors",
    (4, 6): "RoutingErrors",
    (4, 7): "MessageExpired",
    (5, 0): "ProtocolErrors",
    (6, 3): "ContentRelated",
    (6, 7): "ContentRelated",
    (7, 4): "AuthenticationFailed",
    (7, 5): "AuthenticationFailed",
    (7, 8): "AuthenticationFailed",
    (7, 11): "AuthenticationFailed",
}
"""Subject and detail of the status in what this server says itself → its class."""


def classified(record: Record, classifier: Classifier, *, is_ours: bool = False) -> Record:
    """The same record, with the class of its response, of our own words or not, where it is a failure."""
    if record.type in CLASSIFIED:
        ours = _of_ours(record.response) if is_ours else None
        verdict = ours or classifier.classify(response_line(record.response))
        record.bounce_classification = verdict.bounce_class
        if record.type in _ABOUT_ADDRESSES:
            record.dead_address = verdict.dead_address
    return record


def _of_ours(response: Response) -> Verdict | None:
    """The class of what we say ourselves; only a null MX says that an address is dead."""
    status = response.enhanced_code
    ours = _OURS.get((status.subject, status.detail)) if status is not None else None
    if ours is None:
        return None
    return Verdict(ours, None, "yes" if ours == "BadDomain" and response.code >= 500 else "no")


def response_line(response: Response) -> str:
    """The one line that rules match: code, enhanced status if there is one, words (reference B4)."""
    status = response.enhanced_code
    stated = f"{status.class_}.{status.subject}.{status.detail} " if status is not None else ""
    return f"{response.code} {stated}{response.content}"
