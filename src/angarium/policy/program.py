"""Running a policy file: Python that leaves one global named `policy`, or the language of an extra.

It is executed anew in a fresh namespace each time. Whatever it raises becomes a problem with the line of
the file where it came from. Modules that it imports from beside it are not loaded anew; that is said as a
note.
"""

from __future__ import annotations

import ast
import sys
import traceback
from importlib import import_module
from pathlib import Path
from types import ModuleType

from angarium.policy.config import ConfigError, Problem, Source
from angarium.policy.hooks import Policy
from angarium.policy.source import shown_path

MODULE_NAME = "angarium_policy"
"""What the file's module is called; dataclasses and the like look it up."""


LANGUAGES = {".py": __name__, ".lua": "angarium.lua.program"}
"""Suffix of a policy file → the module whose `run_program` executes it, loaded when there is such a file."""


def run_program(path: Path, content: bytes) -> tuple[Policy, list[Problem]]:
    """Execute a policy file; returns its `policy`, and notes. Raises ConfigError."""
    if path.suffix != ".py":
        answer: tuple[Policy, list[Problem]] = _front_end(path).run_program(path, content)
        return answer
    return _run_python(path, content)


def _front_end(path: Path) -> ModuleType:
    """The module for a file's language; raises ConfigError where its extra is not installed."""
    try:
        return import_module(LANGUAGES[path.suffix])
    except ModuleNotFoundError:
        extra = path.suffix.removeprefix(".")
        text = f"{path.suffix} files need an extra that is not installed: pip install 'angarium[{extra}]'"
        raise ConfigError([Problem(Source(shown_path(path), 1), text)]) from None


def _run_python(path: Path, content: bytes) -> tuple[Policy, list[Problem]]:
    shown = shown_path(path)
    tree = _parse(content, shown)
    module = ModuleType(MODULE_NAME)
    module.__file__ = str(path.absolute())
    before = sys.modules.get(MODULE_NAME)
    sys.modules[MODULE_NAME] = module
    try:
        _execute(tree, module, path, shown)
        policy = _policy_of(module, shown)
    except ConfigError:
        _restore(before)
        raise
    return policy, _not_reloaded(tree, path.absolute().parent, shown)


def _restore(module: ModuleType | None) -> None:
    if module is None:
        del sys.modules[MODULE_NAME]
    else:
        sys.modules[MODULE_NAME] = module


def _parse(content: bytes, shown: str) -> ast.Module:
    try:
        return ast.parse(content, shown)
    except SyntaxError as error:
        raise ConfigError(
            [Problem(Source(shown, error.lineno or 1), f"not valid Python: {error.msg}")]
        ) from None
    except (ValueError, RecursionError) as error:  # NUL octets, nesting
        raise ConfigError([Problem(Source(shown, 1), f"not valid Python: {error}")]) from None


def _execute(tree: ast.Module, module: ModuleType, path: Path, shown: str) -> None:
    folder = str(path.absolute().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        exec(compile(tree, str(path.absolute()), "exec"), module.__dict__)  # noqa: S102 - it is the operator's
    except KeyboardInterrupt:
        raise
    except ConfigError:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever a file raises is a problem of that file
        raise ConfigError([Problem(_place(error, path, shown), _describe(error))]) from None


def _place(error: BaseException, path: Path, shown: str) -> Source:
    """The innermost line of the file itself that the error passed through."""
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == str(path.absolute())
    ]
    return Source(shown, lines[-1] or 1) if lines else Source(shown, 1)


def _describe(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return "the file ends the program: take out what calls exit"
    text = str(error).replace("\n", " ")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _policy_of(module: ModuleType, shown: str) -> Policy:
    policy = getattr(module, "policy", None)
    if isinstance(policy, Policy):
        return policy
    what = "holds no global named policy" if policy is None else "has a global policy that is no Policy"
    text = f'the file {what}: write policy = Policy.load("angarium.toml")'
    raise ConfigError([Problem(Source(shown, 1), text)])


def _not_reloaded(tree: ast.Module, folder: Path, shown: str) -> list[Problem]:
    """A note for each module beside the file that it imports: changing that takes a restart."""
    notes = []
    for node in ast.walk(tree):
        for name in _imported(node):
            file = getattr(sys.modules.get(name), "__file__", None)
            if file and _is_own(Path(file), folder):
                text = f"{name} is not loaded anew when it changes: that takes a restart"
                notes.append(Problem(Source(shown, getattr(node, "lineno", 1)), text, is_error=False))
    return notes


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module else []


def _is_own(file: Path, folder: Path) -> bool:
    return file.is_relative_to(folder) and not {"site-packages", "dist-packages"} & set(file.parts)
