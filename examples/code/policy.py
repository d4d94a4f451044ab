"""Policy as code: customers are looked up in a table that is not a file, and mail is tagged on its way in."""

from __future__ import annotations

import logging

from angarium import (
    Address,
    ConnectionMeta,
    ListenerDomain,
    Message,
    Policy,
    QueueConfig,
    ReceivedReport,
    reject,
)

log = logging.getLogger("customers")
policy = Policy.load("angarium.toml")

MAILBOXES = {"example.com": "[10.0.0.1]", "example.net": "[10.0.0.2]:2525"}
"""Stands for a database of customers: domain → where its mailboxes are."""


@policy.on
def get_listener_domain(domain: str, listener: str, conn_meta: ConnectionMeta) -> ListenerDomain | None:
    """Relay to the domains of customers; let the files answer for every other name."""
    if domain in MAILBOXES:
        return ListenerDomain(relay_to=True, log_oob="LogThenRelay", log_arf=True)
    return None


@policy.on
def get_queue_config(
    domain: str,
    tenant: str | None,
    campaign: str | None,
    routing_domain: str | None,
    conn_meta: ConnectionMeta,
) -> QueueConfig | None:
    """Send each customer's mail to the host that has its mailboxes."""
    if domain in MAILBOXES:
        return QueueConfig(routing_domain=MAILBOXES[domain], max_age=2 * 86400)
    return None


@policy.on
def smtp_server_rcpt_to(recipient: Address, conn_meta: ConnectionMeta) -> None:
    """Refuse addresses that nobody reads."""
    if recipient.user.lower() == "no-reply":
        reject(550, "5.1.1 nobody reads this mailbox")


@policy.on
async def smtp_server_message_received(message: Message, conn_meta: ConnectionMeta) -> None:
    """Say in the header where a message came in, and keep its size with it."""
    message.prepend_header("X-Received-By", conn_meta.listener)
    message.meta["x_size"] = message.size


@policy.on
def report_received(report: ReceivedReport, conn_meta: ConnectionMeta) -> None:
    """Tell customers whom not to write to again; turn away bounces of mail that was never ours."""
    if report.verified is False:
        reject(550, "5.7.1 this is about no mail of ours")
    for one in report.failed:
        if one.status == "5.1.1":
            log.warning("nobody is there: %s", one.meant)
    if report.feedback is not None and report.feedback.feedback_type == "abuse":
        for address in report.feedback.original_rcpt_to:
            log.warning("wants no more mail: %s", address)
