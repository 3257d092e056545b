"""Optuna's journal storage in a file of lines, with many operations per write."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from threading import RLock
from typing import Any, cast

from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend

from proxytune.errors import InputError, RunError

Operation = dict[str, Any]


class Journal(JournalStorage):
    """Optuna's storage in one file. Processes and threads may share it."""

    def __init__(self, path: Path) -> None:
        self._file = _JournalFile(path)
        super().__init__(self._file)
        # Optuna's own lock is not reentrant, so a batch could not hold it.
        self._thread_lock = cast(Any, RLock())

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Everything told inside reaches the disk in one write at the end; nobody else writes.

        Optuna itself writes and syncs every value of every trial.
        """
        with self._thread_lock:
            self._file.begin()
            try:
                yield
            finally:
                # Also after an exception: this process already counts on what it told.
                self._file.end()


class _JournalFile(BaseJournalBackend):
    """The file. A writer holds a lock on it, which the system frees if the writer is killed.

    Optuna's own locks are files: one that is left behind blocks everybody for half a minute. And
    it keeps the position of every line; here only the next one is needed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        if not path.exists():
            path.open("ab").close()
        self._next, self._place = 0, 0
        """The number of the operation to read next, and the position of its line."""
        self._batch: FileIO | None = None
        self._lines: list[bytes] = []
        """The lines that the batch will write."""
        self._read = 0
        """How many of these lines have been read already."""

    def read_logs(self, log_number_from: int) -> Iterator[Operation]:
        """The operations from that number on: first those in the file, then those of the batch."""
        if log_number_from != self._next:
            self._next = self._place = self._read = 0
        for line in self._unread():
            self._next += 1
            if self._next > log_number_from:
                yield self._operation(line)

    def _unread(self) -> Iterator[bytes]:
        # Once a line of the batch was read, nobody else can have written.
        if not self._read:
            yield from self._unread_in_file()
        while self._read < len(self._lines):
            self._read += 1
            yield self._lines[self._read - 1]

    def _unread_in_file(self) -> Iterator[bytes]:
        with self._path.open("rb") as file:
            file.seek(self._place)
            for line in file:
                if not line.endswith(b"\n"):
                    break  # another process is writing it
                self._place += len(line)
                yield line

    def append_logs(self, logs: list[Operation]) -> None:
        """Writes operations, or adds them to the batch."""
        lines = [json.dumps(log, separators=(",", ":")).encode() + b"\n" for log in logs]
        if self._batch:
            self._lines += lines
        else:
            with self._open() as file:
                self._write(file, lines)

    def begin(self) -> None:
        """Takes the lock; from now on, appended lines are kept back."""
        self._batch = self._open()

    def end(self) -> None:
        """Writes the lines that were kept back, and frees the lock."""
        assert self._batch is not None
        try:
            if self._lines:
                self._write(self._batch, self._lines)
            self._place += sum(map(len, self._lines[: self._read]))
        finally:
            self._batch.close()
            self._batch, self._lines, self._read = None, [], 0

    def _open(self) -> FileIO:
        try:
            file = self._path.open("rb+", buffering=0)
            fcntl.flock(file, fcntl.LOCK_EX)
            _cut_torn_line(file)
        except OSError as error:
            raise RunError(f"{self._path}: cannot be written ({error.strerror})") from None
        return file

    def _write(self, file: FileIO, lines: list[bytes]) -> None:
        """Writes all lines or, if that fails, none."""
        end = file.seek(0, os.SEEK_END)
        unwritten = memoryview(b"".join(lines))
        try:
            while unwritten:
                unwritten = unwritten[file.write(unwritten) :]
            os.fsync(file.fileno())
        except OSError as error:
            file.truncate(end)
            raise RunError(f"{self._path}: cannot be written ({error.strerror})") from None

    def _operation(self, line: bytes) -> Operation:
        try:
            operation: Operation = json.loads(line)
            operation["op_code"]
        except (ValueError, LookupError, TypeError):
            raise InputError(
                f"{self._path}: line {self._next} is damaged; restore the file from a backup"
            ) from None
        return operation


def _cut_torn_line(journal: FileIO) -> None:
    """Removes the part of a line that a killed writer left, so that the next line starts clean."""
    end = journal.seek(0, os.SEEK_END)
    while end and not _ends_line(journal, end):
        end -= 1
    journal.truncate(end)


def _ends_line(journal: FileIO, end: int) -> bool:
    journal.seek(end - 1)
    return journal.read(1) == b"\n"
