"""What every executor, source, runner and record sink promises, as classes of tests.

Subclass one in a test of your own, and give it what it asks for; needs pytest.
"""

import pytest

pytest.register_assert_rewrite(
    *(f"{__name__}.{name}" for name in ("data", "executor", "runner", "sink", "source"))
)

from proxytune.testing.data import DataSourceContract  # noqa: E402
from proxytune.testing.executor import ExecutorContract  # noqa: E402
from proxytune.testing.runner import PackRunnerContract  # noqa: E402
from proxytune.testing.sink import RecordSinkContract  # noqa: E402
from proxytune.testing.source import PackSourceContract  # noqa: E402

__all__ = [
    "DataSourceContract",
    "ExecutorContract",
    "PackRunnerContract",
    "PackSourceContract",
    "RecordSinkContract",
]
