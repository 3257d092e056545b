"""The executor in this process keeps the contract."""

from collections.abc import Iterator

import pytest

from proxytune.execution.local import LocalExecutor
from proxytune.packs.ports import Executor
from proxytune.testing.bowls import start_bowl
from proxytune.testing.executor import ExecutorContract


class TestLocalExecutor(ExecutorContract):
    @pytest.fixture(scope="class")
    @classmethod
    def executor(cls) -> Iterator[Executor]:
        with LocalExecutor(start_bowl, max_failures=1) as executor:
            yield executor
