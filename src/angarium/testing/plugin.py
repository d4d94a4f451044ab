"""The pytest plugin: the fixture `mta`, and tables of who may relay where.

Loads when Angarium is installed, and costs nothing until a test asks for it. A test that fails shows what was
said in its SMTP sessions.
"""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from angarium.testing.server import MakeMta, Mta
    from angarium.testing.table import Row, Table

TABLES = "who-may-relay*.csv"
"""What the files of tables are called."""

_MADE = pytest.StashKey["list[Mta]"]()


@pytest.fixture
def mta(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[MakeMta]:
    """Make a whole server on a policy: `mta("angarium.toml")`; see `angarium.testing.Mta`."""
    from angarium.policy.config import ConfigError  # noqa: PLC0415 - most tests of most people need no server
    from angarium.testing.server import Mta  # noqa: PLC0415

    made = request.node.stash.setdefault(_MADE, [])
    with ExitStack() as opened:

        def make(policy: Any, **options: Any) -> Mta:
            __tracebackhide__ = True
            try:
                server = Mta(policy, tmp_path / f"mta-{len(made)}", **options)
            except ConfigError as error:
                raise error.with_traceback(None) from None  # what is wrong stands in files, not in our frames
            made.append(server)
            opened.callback(server.close)
            return server

        yield make


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what was said in the sessions of a test that fails."""
    report = yield
    if report.when == "call" and report.failed:
        for server in item.stash.get(_MADE, []):
            for session in server.sessions:
                report.sections.append(("SMTP session", "\n".join(session.dialogue)))
    return report


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Take up tables of who may relay."""
    if fnmatch(file_path.name, TABLES):
        collector: pytest.Collector = TableFile.from_parent(parent, path=file_path)
        return collector
    return None


class TableFile(pytest.File):
    """A table; one server answers all its rows."""

    server: Mta
    _table: Table
    _opened: ExitStack

    def collect(self) -> Iterator[pytest.Item]:
        """A test for each row."""
        from angarium.testing.table import TableError, read_table  # noqa: PLC0415

        try:
            self._table = read_table(self.path)
        except TableError as error:
            raise self.CollectError(str(error)) from None
        for row in self._table.rows:
            item: pytest.Item = RowItem.from_parent(self, name=row.title, row=row)
            yield item

    def setup(self) -> None:
        """Start the server."""
        from angarium.policy.config import ConfigError  # noqa: PLC0415
        from angarium.testing.server import Mta  # noqa: PLC0415

        self._opened = ExitStack()
        folder = self._opened.enter_context(tempfile.TemporaryDirectory(prefix="angarium-"))
        try:
            self.server = Mta(self._table.policy, Path(folder))
        except ConfigError as error:
            pytest.fail(str(error), pytrace=False)
        self._opened.callback(self.server.close)

    def teardown(self) -> None:
        """Stop it."""
        self._opened.close()


class RowItem(pytest.Item):
    """One row of a table."""

    def __init__(self, row: Row, **options: Any) -> None:
        super().__init__(**options)
        self.row = row

    def runtest(self) -> None:
        """Ask the server."""
        assert isinstance(self.parent, TableFile)
        self.row.check(self.parent.server)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """What was expected, and the checks of the decision; for surprises, where they come from."""
        from angarium.testing.server import NoListenerError  # noqa: PLC0415

        if isinstance(excinfo.value, AssertionError | NoListenerError):
            return f"{self.path}:{self.row.line}: {excinfo.value}"
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """The row's place."""
        return self.path, self.row.line - 1, f"{self.path.name}:{self.name}"
