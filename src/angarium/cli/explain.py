"""`angarium explain`: what the server would answer, why, and what would change that."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from angarium.admin.explain import Question, QuestionError
from angarium.admin.explain import explain as ask_files
from angarium.admin.recorded import recall
from angarium.admin.why import log_folders
from angarium.cli.client import Refusal, ask, is_serving
from angarium.cli.configuration import Config, complain, find, load_or_exit
from angarium.net.dns import DnsResolver
from angarium.net.unix import UnixTrouble
from angarium.policy.config import ConfigError, Configuration
from angarium.policy.load import find_socket

Row = dict[str, Any]

_VERDICTS = {
    "relay": "is accepted and relayed",
    "report-only": "is accepted, and refused after DATA unless it is a report",
    "refuse": "is refused",
    "defer": "is put off",
}
_FATES = {
    "queued": "is accepted and relayed",
    "logged": "is accepted, logged as a report, and discarded",
    "logged+queued": "is accepted, logged as a report, and relayed",
    "discarded": "is accepted and discarded",
}
"""What becomes of content: the dispositions of a Reception."""


def explain(
    more: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,
    *,
    peer: Annotated[str | None, typer.Option(metavar="IP", help="The client's address.")] = None,
    from_: Annotated[
        str | None, typer.Option("--from", metavar="ADDRESS", help="The sender; '<>' for none.")
    ] = None,
    rcpt: Annotated[
        list[str] | None,
        typer.Option(metavar="ADDRESS…", help="A recipient, or several; may be given again."),
    ] = None,
    session: Annotated[
        str | None, typer.Option(metavar="ID", help="Ask again what this session of the past asked.")
    ] = None,
    listener: Annotated[
        str | None, typer.Option(help="Its name, listen text, ip:port or ip; may be left out if alone.")
    ] = None,
    authn: Annotated[str | None, typer.Option(metavar="ID", help="Authenticated as this identity.")] = None,
    tls: Annotated[bool, typer.Option("--tls", help="The session is encrypted.")] = False,
    message: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|ID",
            help="With --peer: a file, and what is answered to this content. Else the id of a message that "
            "was received: ask again what was asked then.",
        ),
    ] = None,
    logs: Annotated[
        list[Path] | None, typer.Option(help="Where records of the past are, in place of the folders of -c.")
    ] = None,
    resolve: Annotated[bool, typer.Option("--resolve", help="Look the next hop up in the DNS.")] = False,
    handlers: Annotated[
        bool, typer.Option("--handlers/--no-handlers", help="Run your Python handlers, side effects and all.")
    ] = True,
    config: Config = None,
    json_: Annotated[
        bool, typer.Option("--json", help="Print JSON: one object, or a list of several.")
    ] = False,
) -> None:
    """Say what the server would decide about a transaction, check by check, and what would change it.

    Of a session that is only thought of (--peer, --from, --rcpt), or of one from the log (--session ID or
    --message ID). A server that runs with this configuration is asked itself; otherwise the files are read.
    Exits with 1 if a recipient, or the message, is refused or put off.

    Example: angarium explain --peer 192.0.2.7 --from you@example.net --rcpt user@example.com
    """
    path = find(config)
    if session is not None or (peer is None and message is not None):
        if peer or from_ or rcpt or more or listener or authn or tls or (session and message):
            raise typer.BadParameter("name one session or message of the log, and nothing beside: it has all")
        answers = _recorded(path, logs, session, message, resolve=resolve, handlers=handlers)
    elif peer is None or from_ is None or not rcpt:
        raise typer.BadParameter("say --peer, --from and --rcpt, or --session ID or --message ID")
    else:
        question = Question(
            peer=peer,
            sender=from_,
            recipients=_recipients(rcpt, more or []),
            listener=listener,
            identity=authn,
            tls=tls,
            message=_content(message),
            resolve=resolve,
            handlers=handlers,
        )
        answers = [(row, question) for row in _rows(path, question)]
    if json_:
        rows = [row for row, _ in answers]
        print(json.dumps(rows[0] if len(rows) == 1 else rows, indent=2))
    else:
        print("\n\n".join(_told(row, question) for row, question in answers))
    raise typer.Exit(1 if any(_is_refused(row) for row, _ in answers) else 0)


def _recipients(named: list[str], more: list[str]) -> list[str]:
    """Those of one `--rcpt A B`, or of `--rcpt A --rcpt B`, in their order."""
    if more and len(named) > 1:
        raise typer.BadParameter("--rcpt: write it once before all recipients, or before each of them")
    return [*named, *more]


def _is_refused(row: Row) -> bool:
    return row["reply"]["code"] >= 400 or _final_code(row) >= 400


def _recorded(
    path: Path, logs: list[Path] | None, session: str | None, message: str | None, **options: bool
) -> list[tuple[Row, Question]]:
    """What was asked in the past, answered now."""
    configuration = load_or_exit(path)
    folders = logs or log_folders(configuration.log)
    answers = []
    try:
        for transaction in recall(folders, session=session, message=message):
            question = transaction.question(configuration.listeners, **options)
            beside = transaction.beside(_rows(path, question), message)
            answers += [(row, question) for row in beside]
    except QuestionError as error:
        print(f"angarium: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    except OSError as error:
        print(f"angarium: the log cannot be read: {error}", file=sys.stderr)
        raise typer.Exit(2) from None
    return answers


def _content(path: str | None) -> str | None:
    if path is None:
        return None
    try:
        return base64.b64encode(Path(path).read_bytes()).decode()
    except OSError as error:
        raise typer.BadParameter(f"--message: {error}") from None


def _rows(path: Path, question: Question) -> list[Row]:
    socket = _socket(path)
    if is_serving(socket, path):
        arguments = {name: getattr(question, name) for name in question.__struct_fields__}
        return _ask_server(socket, arguments)
    configuration = load_or_exit(path)
    try:
        return asyncio.run(_ask_files(configuration, question))
    except QuestionError as error:
        print(f"angarium: {error}", file=sys.stderr)
        raise typer.Exit(2) from None


def _ask_server(socket: str, arguments: Row) -> list[Row]:
    """As the server answers; what it will not answer is a question that makes no sense."""
    try:
        return list(ask(socket, "explain", **arguments))
    except (Refusal, UnixTrouble) as error:
        print(f"angarium: {error}", file=sys.stderr)
        raise typer.Exit(2 if isinstance(error, Refusal) else 1) from None


def _socket(path: Path) -> str:
    try:
        return find_socket(path)
    except ConfigError as error:
        complain(error.problems)
        raise typer.Exit(1) from None


async def _ask_files(configuration: Configuration, question: Question) -> list[Row]:
    servers = [
        f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        for host, port in configuration.dns.nameservers
    ]
    return await ask_files(configuration, question, DnsResolver(servers) if question.resolve else None)


# For people


def _told(row: Row, question: Question) -> str:
    parts = [_sentence(row, question), *_replies(row), "", "Checks, in order:", *map(_check, row["checks"])]
    if not row["checks"]:
        parts.append("  none: it was answered before anything was decided")
    if row["handlers"]:
        parts += ["", "Handlers that were run, with all that they do:", *map(_handler, row["handlers"])]
    if row["route"] is not None:
        parts += ["", "Where it would go:", *_route(row["route"])]
    if row["flips"]:
        parts += [
            "",
            "What would change the verdict:",
            *(line for flip in row["flips"] for line in _flip(flip)),
        ]
    return "\n".join(parts)


def _sentence(row: Row, question: Question) -> str:
    sender = question.sender or "<>"
    who = f"authenticated as {question.identity}, " if question.identity else ""
    what = f"Mail from {sender} to {row['recipient']}, sent by {question.peer}"
    return f"{what}, {who}{_verdict(row)}."


def _verdict(row: Row) -> str:
    """What becomes of it in the end, or at RCPT where nothing is known of its content."""
    if _final_code(row) >= 400:
        return "is accepted at RCPT, and refused after DATA"
    return _FATES.get(row.get("disposition") or "") or _VERDICTS[row["verdict"]]


def _final_code(row: Row) -> int:
    """The code of the reply to the content; 0 without one."""
    return int(row["final_reply"]["code"]) if "final_reply" in row else 0


def _replies(row: Row) -> list[str]:
    lines = [f"  reply to RCPT:   {_reply(row['reply'])}"]
    if "final_reply" in row:
        lines.append(f"  reply to DATA:   {_reply(row['final_reply'])}")
    lines.append(f"  decided by:      {_decided_by(row['decided_by'])}")
    if row.get("final_decided_by"):
        lines.append(f"  after DATA by:   {_decided_by(row['final_decided_by'])}")
    if row.get("records"):
        lines.append(f"  records:         {', '.join(row['records'])}; disposition {row['disposition']}")
    lines += [
        f"  not asked:       {call['event']} at {_where(call)}: a live session may answer otherwise"
        for call in row["not_asked"]
    ]
    return [
        *lines,
        f"  configuration:   {row['config']}",
        *_then(row),
    ]


def _then(row: Row) -> list[str]:
    """What was answered when it was asked."""
    then = row.get("recorded")
    if then is None:
        return []
    lines = [f"  answered then:   {then['reply']}  [{then['event_time']}, session {then['session_id']}]"]
    if then["config"] is None:
        lines.append("  in force then:   not recorded: it was refused before a decision")
    elif not then["same_config"]:
        lines.append(f"  in force then:   another configuration, {then['config']}")
    return lines


def _reply(reply: Row) -> str:
    return " ".join(str(part) for part in (reply["code"], reply["enhanced_code"], reply["text"]) if part)


def _decided_by(decided: Row) -> str:
    where = _where(decided)
    what = decided["handler"] or decided["key"]
    kind = {"rule": "a rule", "handler": "your code", "default": "the default"}[decided["kind"]]
    return " ".join(filter(None, (kind, f"({what})" if what else "", where and f"at {where}")))


def _where(place: Row) -> str:
    return f"{place['file']}:{place['line']}" if place["file"] else ""


def _check(check: Row) -> str:
    mark = "+" if check["holds"] else "-"
    where = _where(check) or "default"
    return f"  {mark} {check['rule']}  [{where}]\n      {check['read']}\n      → {check['concluded']}"


def _handler(call: Row) -> str:
    about = f" {call['asked']}" if call["asked"] else ""
    answer = call["answer"] if call["answer"].startswith("failed") else f"answered {call['answer']}"
    return f"  {call['event']}{about}  [{_where(call)}]  {answer}"


def _route(route: Row) -> list[str]:
    lines = [f"  queue:           {route['queue']}"]
    hop = route["next_hop"]
    if hop is not None:
        said = f"the MX hosts of {hop['name']}" if hop["uses_mx"] else f"{hop['name']} port {hop['port']}"
        lines.append(f"  next hop:        {said}" + (f"  [{route['source']}]" if route["source"] else ""))
    lines += [
        f"  host:            {host['name']} ({', '.join(host['addresses'])}) port {host['port']}"
        for host in route.get("hosts", ())
    ]
    if route.get("problem"):
        lines.append(f"  problem:         {route['problem']}")
    for option, told in route["options"].items():
        if told["source"] is not None:
            value = told["value"]
            text = f"{value:.15g} s" if isinstance(value, float) else value
            lines.append(f"  {option + ':':<16} {text}  [{told['source']}]")
    return lines


def _flip(flip: Row) -> list[str]:
    lines = _change(flip, f"  to {flip['verdict']}: ")
    for other in flip["also"]:
        lines += _change(other, "    and also ")
    return lines


def _change(change: Row, begin: str) -> list[str]:
    what = {"add": "add as", "replace": "change", "remove": "remove"}[change["action"]]
    text = [f"      {line}" for line in change["text"].splitlines()]
    return [f"{begin}{what} {change['file']}:{change['line']}", *text]
