"""A user's policy file, as `mypy --strict` must accept it (and the mistakes it must find)."""

from angarium import (
    Address,
    ConnectionMeta,
    Identity,
    ListenerDomain,
    Message,
    Policy,
    QueueConfig,
    reject,
)

policy = Policy.load("angarium.toml")
in_code = Policy(listeners=[{"listen": "127.0.0.1:2525", "relay_hosts": []}], handler_timeout="10s")


@policy.on
def get_listener_domain(domain: str, listener: str, conn_meta: ConnectionMeta) -> ListenerDomain | None:
    """Answer from code."""
    if domain == "example.com":
        return ListenerDomain(relay_to=True, log_oob=True, log_arf="LogThenRelay", relay_from=["10.0.0.0/8"])
    if domain == "example.net":
        return ListenerDomain(relay_too=True)  # type: ignore[call-arg]
    return None


@policy.on
async def smtp_server_auth_plain(
    authz: str, authn: str, password: str, conn_meta: ConnectionMeta
) -> bool | Identity:
    """Answer with an identity."""
    return Identity(authn) if authz in ("", authn) else False


@policy.on(thread=True)
def smtp_server_rcpt_to(recipient: Address, conn_meta: ConnectionMeta) -> None:
    """Refuse."""
    if recipient.domain == "example.org" and conn_meta.authn_id is None:
        reject(550, "5.7.1 Not without AUTH")
    conn_meta.meta["x_seen"] = str(recipient)
    conn_meta.authn_id = "root"  # type: ignore[misc]


@policy.on
def smtp_server_message_received(message: Message, conn_meta: ConnectionMeta) -> None:
    """Change a message."""
    message.sender = None
    message.recipients = ["ops@example.com", Address.parse("abuse@example.com")]
    message.queue = "example.com"
    message.prepend_header("X-Peer", str(conn_meta.peer))
    message.remove_header("Bcc")
    message.size = 5  # type: ignore[misc]
    subject: str | None = message.headers.get("Subject")
    message.meta["x_subject"] = subject


@policy.on
def get_queue_config(
    domain: str,
    tenant: str | None,
    campaign: str | None,
    routing_domain: str | None,
    conn_meta: ConnectionMeta | None,
) -> QueueConfig | None:
    """Route one domain."""
    return QueueConfig(routing_domain="[10.0.0.1]", retry_interval=60) if domain == "example.com" else None


handler: int = get_listener_domain  # type: ignore[assignment]
