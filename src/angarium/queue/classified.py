"""What does the reply in a record mean? The one place where records get their class.

Only records of failures are looked at, so that a delivery costs nothing here.
"""

from __future__ import annotations

from typing import Final

from angarium.log.records import Record, RecordType, Response
from angarium.reports.classify import Classifier

CLASSIFIED: Final[frozenset[RecordType]] = frozenset(
    {"Bounce", "TransientFailure", "Expiration", "AdminBounce", "OOB", "Rejection"}
)
_ABOUT_ADDRESSES: Final[frozenset[RecordType]] = frozenset({"Bounce", "OOB"})


def classified(record: Record, classifier: Classifier) -> Record:
    """The same record, with the class of its response where it is one of a failure."""
    if record.type in CLASSIFIED:
        verdict = classifier.classify(response_line(record.response))
        record.bounce_classification = verdict.bounce_class
        if record.type in _ABOUT_ADDRESSES:
            record.dead_address = verdict.dead_address
    return record


def response_line(response: Response) -> str:
    """The one line that rules match: code, enhanced status if there is one, words (reference B4)."""
    status = response.enhanced_code
    stated = f"{status.class_}.{status.subject}.{status.detail} " if status is not None else ""
    return f"{response.code} {stated}{response.content}"
