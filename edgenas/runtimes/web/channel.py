"""Messages to and from a child process: JSON, each ended by one byte, over two pipes."""

from __future__ import annotations

import json
import os
import select
import time
from collections.abc import Mapping
from typing import Any

CHUNK_BYTES = 1 << 16  # what a pipe of Linux holds

Message = dict[str, Any]  # JSON: commands of answer.mjs or of DevTools, and their replies


class Gone(Exception):
    """The other side has closed its end, or says nothing for too long."""


class Channel:
    """A reader and a writer, both file descriptors that somebody else closes."""

    def __init__(self, reader: int, writer: int, end: bytes) -> None:
        """Speak over two file descriptors.

        Args:
            reader: what the child writes to.
            writer: what the child reads from.
            end: the byte after every message.
        """
        self._reader, self._writer, self._end = reader, writer, end
        self._received = bytearray()

    def send(self, message: Mapping[str, Any]) -> None:
        """Write one message.

        Raises:
            Gone: the other side has closed its end.
        """
        unsent = memoryview(json.dumps(message).encode() + self._end)
        try:
            # A pipe may take a part only.
            while unsent:
                unsent = unsent[os.write(self._writer, unsent) :]
        except OSError as error:
            raise Gone("closed") from error

    def receive(self, timeout_s: float | None = None) -> Message:
        """Return the next message.

        Args:
            timeout_s: a silence that counts as the end, in seconds; by default none does.

        Raises:
            Gone: the other side has closed its end, or was silent for too long.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        searched = 0
        while (at := self._received.find(self._end, searched)) < 0:
            searched = len(self._received)  # a reply of megabytes comes in many chunks: none is searched twice
            self._await(deadline)
            chunk = os.read(self._reader, CHUNK_BYTES)
            if not chunk:
                raise Gone("closed")
            self._received += chunk
        line = bytes(self._received[:at])
        del self._received[: at + 1]
        return dict(json.loads(line))

    def _await(self, deadline: float | None) -> None:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        if not select.select([self._reader], [], [], left)[0]:
            raise Gone("silent")
