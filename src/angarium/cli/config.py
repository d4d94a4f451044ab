"""`angarium config why`: where an effective option comes from."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from angarium.cli.answers import as_json, console
from angarium.cli.configuration import Config, find, load_or_exit
from angarium.mail.address import AddressError, normalize_domain
from angarium.policy.config import Configuration, Listener, QueueConfig
from angarium.policy.detour import detoured
from angarium.policy.domains import parse_key, representative
from angarium.policy.match import NULL_PATH
from angarium.policy.networks import IPAddress, canonical_address, parse_address
from angarium.policy.provenance import Origin, Site, of_domain, of_listener, of_queue, of_site, parse_site
from angarium.policy.route import QueueName, RouteError, next_hop, parse_queue_name

_SITE = re.compile(r"[,;]|->|@lmtp$|\]:\d+$")
"""What the names of domains and queues do not hold."""
_MARKS = {"wins": "→", "overridden": " ", "held back": "×", "answers for others": "×"}
_STYLES = {"wins": "bold", "overridden": "dim", "held back": "dim", "answers for others": "dim"}


def config(
    action: Annotated[str, typer.Argument(metavar="why", help="`why` is the one thing to ask for.")],
    subject: Annotated[
        str,
        typer.Argument(
            metavar="LISTENER|DOMAIN|QUEUE|SITE",
            help="Whose options: a listener's, a domain's, a queue's, a site's.",
        ),
    ],
    option: Annotated[str | None, typer.Argument(help="One option; else all that somebody wrote.")] = None,
    config: Config = None,
    *,
    listener: Annotated[
        str | None, typer.Option(help="For a domain: on which listener; else on each.")
    ] = None,
    peer: Annotated[str, typer.Option(metavar="IP", help="For a listener: for which client.")] = "0.0.0.0",  # noqa: S104
    local: Annotated[
        str | None, typer.Option(metavar="IP", help="The local address that the client connected to.")
    ] = None,
    mx: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST", help="For a domain: an MX host of it; all of them, please."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Say of each effective option which layers set it, with file and line, and which of them wins.

    Example: angarium config why example.com relay_to
    """
    if action != "why":
        raise typer.BadParameter(f"{action!r} is not known here: write angarium config why {subject}")
    configuration = load_or_exit(find(config))
    found = _Asking(
        configuration, listener, _address(peer), None if local is None else _address(local), mx or ()
    )
    parts = {title: _chosen(origins, option) for title, origins in found.origins(subject).items()}
    if not any(parts.values()):
        raise typer.BadParameter(f"{subject} has no option {option!r}")
    for problem in detoured(configuration.shaping, configuration.queues, subject.lower()):
        print(problem, file=sys.stderr)
    if json:
        print(as_json(parts))
    else:
        for title, origins in parts.items():
            _show(console(), title, origins)


class _Asking:
    def __init__(
        self,
        configuration: Configuration,
        listener: str | None,
        peer: IPAddress,
        local: IPAddress | None,
        mx: Sequence[str],
    ) -> None:
        self._configuration = configuration
        self._only = listener
        self._peer = peer
        self._local = local
        self._mx = tuple(host.lower().removesuffix(".") for host in mx)

    def origins(self, subject: str) -> dict[str, list[Origin]]:
        """The options of a listener, of a site, or of a domain, its queue and the way that its mail goes."""
        listener = self._listener(subject)
        if listener is not None:
            found = of_listener(self._configuration, listener, self._peer, self._local_of(listener))
            return {f"listener {listener.label} for peer {self._peer}": found}
        if _SITE.search(subject):
            title, site = self._site(subject)
            return {f"site {title}": of_site(self._configuration, site)}
        if subject == NULL_PATH or subject.startswith("*"):
            return self._entries(subject, representative(_key(subject)))
        name = self._queue_name(subject)
        is_domain = name == QueueName(name.domain)
        parts = self._entries(name.domain, name.domain) if is_domain else {}
        parts[f"queue {name}"] = of_queue(self._configuration, name)
        parts[f"way to {self._way(name)}"] = self._of_way(name)
        return parts

    def _entries(self, title: str, domain: str) -> dict[str, list[Origin]]:
        return {
            f"{title} on {one.label}": of_domain(self._configuration, domain, one, self._local_of(one))
            for one in self._listeners()
        }

    def _site(self, text: str) -> tuple[str, Site]:
        """A site and its whole name: one literal host that has an entry is that entry's domain."""
        site = parse_site(text)
        host = site.hosts[0]
        if site.domain or len(site.hosts) > 1 or self._configuration.shaping.domain_key(host) != host:
            return text, site
        return f"{text};domain={host}", msgspec.structs.replace(site, domain=host)

    def _way(self, name: QueueName) -> str:
        hosts = f" by {', '.join(self._mx)}" if self._mx else "; providers are known by MX hosts: --mx"
        return f"{self._routing_domain(name)}{hosts}"

    def _of_way(self, name: QueueName) -> list[Origin]:
        domain = self._routing_domain(name)
        return of_site(self._configuration, Site(self._mx, domain), self._queue_config(name))

    def _routing_domain(self, name: QueueName) -> str:
        routing = name.routing_domain or self._queue_config(name).routing_domain
        try:
            return next_hop(name.domain, routing).domain
        except RouteError:
            return name.domain

    def _queue_config(self, name: QueueName) -> QueueConfig:
        return self._configuration.queues.lookup(name.domain, name.tenant, name.campaign, name.routing_domain)

    def _listener(self, text: str) -> Listener | None:
        for listener in self._configuration.listeners:
            if text in (listener.name, listener.listen):
                return listener
        return None

    def _listeners(self) -> list[Listener]:
        if self._only is None:
            return list(self._configuration.listeners)
        chosen = self._listener(self._only)
        if chosen is None:
            known = ", ".join(one.label for one in self._configuration.listeners)
            raise typer.BadParameter(f"no listener {self._only!r}: there are {known}")
        return [chosen]

    def _local_of(self, listener: Listener) -> IPAddress:
        return self._local or ip_address(listener.host)

    def _queue_name(self, text: str) -> QueueName:
        name = parse_queue_name(text)
        try:
            return name._replace(domain=normalize_domain(name.domain))
        except AddressError:
            labels = ", ".join(listener.label for listener in self._configuration.listeners)
            text = f"{text!r} is neither a listener ({labels}) nor a domain or queue"
            raise typer.BadParameter(text) from None


def _key(text: str) -> str:
    try:
        return parse_key(text)
    except AddressError as error:
        raise typer.BadParameter(str(error)) from None


def _address(text: str) -> IPAddress:
    address = parse_address(text)
    if address is None:
        raise typer.BadParameter(f"{text!r} is not an IP address")
    return canonical_address(address)


def _chosen(origins: list[Origin], option: str | None) -> list[Origin]:
    """The option that was asked for; else those that somebody wrote."""
    if option is not None:
        return [origin for origin in origins if origin.option == option]
    return [origin for origin in origins if any(layer.source is not None for layer in origin.layers)]


def _show(out: Console, title: str, origins: list[Origin]) -> None:
    if not origins:
        return
    out.print(Text(title, style="bold"))
    for origin in origins:
        out.print(Text(f"  {origin.option} = {origin.value}"))
        for layer in origin.layers:
            _show_layer(out, layer)
        if not origin.layers:
            out.print(Text("      nobody says anything about it", style="dim"))


def _show_layer(out: Console, layer: Any) -> None:
    nowhere = "built in" if layer.name == "default" else "as asked"
    where = nowhere if layer.source is None else str(layer.source)
    text = f"    {_MARKS[layer.outcome]} {where}  {layer.name}: {layer.value}"
    remarks = [layer.outcome if layer.outcome != "wins" else None, layer.why]
    remark = ": ".join(filter(None, remarks))
    if remark:
        text += f" ({remark})"
    out.print(Text(text, style=_STYLES[layer.outcome]))
