"""What may stand in an entry of listener_domains: each option's name, and the values that it takes.

A checked value comes out in the form in which tables keep it and send it: a boolean, the name of a mode, or a
tuple of canonical texts. Refuses everything else with what to write instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache

from angarium.policy.config import LineEndings
from angarium.policy.decision import LogMode
from angarium.policy.match import Raw
from angarium.policy.networks import NetworkError, parse_network


class OptionError(ValueError):
    """A value that an option does not take; `index` is the item of the list that is wrong.

    `others` are the errors of further items.
    """

    def __init__(self, text: str, index: int | None = None, others: Sequence[OptionError] = ()) -> None:
        super().__init__(text)
        self.index = index
        self.others = others


@lru_cache(maxsize=1024)
def suggestion(word: str, known: tuple[str, ...]) -> str:
    """`: did you mean "relay_to"?`, or a list of what is known where nothing is near."""
    if not known:
        return ""
    near = get_close_matches(word, known, n=1, cutoff=0.6)
    return f': did you mean "{near[0]}"?' if near else f": known are {', '.join(sorted(known))}"


def _flag(option: str, value: object) -> Raw:
    if not isinstance(value, bool):
        raise OptionError(f"{option} is true or false, not {_shown(value)}")
    return value


def _mode(option: str, value: object) -> Raw:
    try:
        return LogMode.parse(value).value
    except ValueError:
        modes = ", ".join(f'"{mode.value}"' for mode in LogMode)
        raise OptionError(f"{option} is true, false or one of {modes}, not {_shown(value)}") from None


def _networks(option: str, value: object) -> Raw:
    networks, wrong = [], []
    for index, text in enumerate(_texts(option, value, "networks")):
        try:
            networks.append(str(parse_network(text)))
        except NetworkError as error:
            wrong.append((f"{option}: {error}", index))
    _refuse(wrong)
    return tuple(networks)


def _refuse(wrong: Sequence[tuple[str, int]]) -> None:
    """Raise what is wrong with the items of a list, if anything is."""
    errors = [OptionError(text, index) for text, index in wrong]
    if errors:
        errors[0].others = errors[1:]
        raise errors[0]


def _identities(option: str, value: object) -> Raw:
    names = _texts(option, value, "identities")
    if "" in names:
        raise OptionError(f"{option} holds an empty identity: remove it", names.index(""))
    return tuple(names)


def _texts(option: str, value: object, of_what: str) -> list[str]:
    if not isinstance(value, list):
        raise OptionError(f"{option} is a list of {of_what}: write {option} = [{_shown(value)}]")
    text = f"{option} is a list of {of_what}, as strings;"
    _refuse(
        [(f"{text} {_shown(item)} is none", i) for i, item in enumerate(value) if not isinstance(item, str)]
    )
    return value


def _line_endings(option: str, value: object) -> Raw:
    if value == "Allow":
        raise OptionError(f'{option} = "Allow" would let senders smuggle mail: write "Fix" or "Deny"')
    if value not in [choice.value for choice in LineEndings]:
        raise OptionError(f'{option} is "Deny" or "Fix", not {_shown(value)}')
    return str(value)


def _reason(option: str, value: object) -> Raw:
    if not isinstance(value, str) or not value.strip():
        raise OptionError(f'{option} says why a risk is accepted: write {option} = "the reason"')
    return value


def _shown(value: object) -> str:
    """A value as the operator's file writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else repr(value)


def _file(option: str, value: object) -> Raw:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise OptionError(f'{option} is the name of a file: write {option} = "recipients.txt"')
    return value


OPTIONS: Mapping[str, Callable[[str, object], Raw]] = {
    "relay_to": _flag,
    "recipients": _file,
    "relay_from": _networks,
    "relay_from_authz": _identities,
    "log_oob": _mode,
    "log_arf": _mode,
    "log_fbl": _mode,
    "invalid_line_endings": _line_endings,
    "allow": _reason,
}
OPTIONS_OF_NULL_PATH = ("relay_from", "relay_from_authz", "allow")


def looks_like_entry(value: object) -> bool:
    """Whether a value of unknown origin is an entry: a table of such options and of nothing else."""
    return isinstance(value, Mapping) and bool(value) and value.keys() <= OPTIONS.keys()
