"""Bounces that follow no RFC are read for what they say."""

from __future__ import annotations

import pytest

from angarium.reports import examine
from tests.reports.forms import FORMS, Form
from tests.reports.unseen import UNSEEN


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_form(form: Form) -> None:
    """Each known form yields its recipients, the first one's status and the action, by its shape."""
    report = examine(form.content)
    assert report.kind == "oob"
    assert report.by_shape
    assert report.bounce is not None
    recipients = report.bounce.recipients
    assert sorted(one.address for one in recipients) == sorted(form.recipients)
    assert recipients[0].status == form.status
    assert {one.action for one in recipients} == {form.action}
    assert recipients[0].marks["address"] == "derived"


@pytest.mark.parametrize(
    "form", [form for form in FORMS if "4711@example.com" in form.body], ids=lambda f: f.name
)
def test_the_returned_message_is_found(form: Form) -> None:
    """What is quoted below the words of a bounce yields the values that find our message again."""
    original = examine(form.content).original
    assert original is not None
    assert original.message_id == "<4711@example.com>"
    assert original.subject == "Hello"
    assert original.marks["message_id"] == "derived"


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_a_person_who_forwards_it_sends_no_bounce(form: Form) -> None:
    """The same words from a person, as a forwarded message, are ordinary mail."""
    person = b"From: Jane Doe <jane@example.org>\nSubject: Fwd: what is this?\nTo: help@example.com\n\n"
    assert examine(person + form.body.encode()).kind == "none"


@pytest.mark.parametrize("name", UNSEEN)
def test_unseen_forms(name: str) -> None:
    """Forms that no rule was written for are found all the same."""
    content, recipients, status, action = UNSEEN[name]
    report = examine(content.encode())
    assert report.kind == "oob"
    assert report.bounce is not None
    found = report.bounce.recipients
    assert tuple(one.address for one in found) == recipients
    assert (found[0].status, found[0].action) == (status, action)
