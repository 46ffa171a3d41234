"""A JavaScript engine that runs models for edgenas, and the pool from which sessions get one."""

from __future__ import annotations

import atexit
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from edgenas.runtimes.web.channel import Message

# The most bytes of model files in one engine: weights are kept twice or more, and a WASM heap ends at 4 GB.
MAX_LOADED_BYTES = 2**29


class Engine(Protocol):
    """One heap: a Node process, or a page of a browser. It answers the commands of answer.mjs."""

    folder: Path  # where it reads models

    @property
    def working(self) -> bool:
        """Tell whether it can still take commands."""

    def ask(self, command: Mapping[str, Any]) -> Message:
        """Return the reply to a command.

        Raises:
            EnvironmentFault: the engine has stopped.
        """

    def stop(self) -> None:
        """End the engine; a second call does nothing."""


class Place:
    """An engine in a pool, and how much of it is taken."""

    def __init__(self, engine: Engine) -> None:
        """Start with nothing taken."""
        self.engine = engine
        self.loaded_bytes = 0


class Pool:
    """Engines of one kind, started when needed, several when models are many, and ended with this process."""

    def __init__(self, start: Callable[[int], Engine]) -> None:
        """Keep engines that `start` makes for a number of threads."""
        self._start = start
        self._places: dict[int, list[Place]] = {}

    def place(self, threads: int, model_bytes: int = 0) -> Place:
        """Return a working engine with room for a model; a very large model gets one of its own.

        Args:
            threads: that the engine runs models on.
            model_bytes: the size of the model's file.

        Raises:
            EnvironmentFault: no engine can be started.
        """
        places = self._places.setdefault(threads, [])
        # An engine that stopped took its models along; their sessions say so when they are used.
        places[:] = [place for place in places if place.engine.working]
        for place in places:
            if place.loaded_bytes + model_bytes <= MAX_LOADED_BYTES or not place.loaded_bytes:
                return place
        if not any(self._places.values()):
            atexit.unregister(self.stop)  # lest it be registered twice, once the pool was stopped and used again
            atexit.register(self.stop)
        places.append(Place(self._start(threads)))
        return places[-1]

    def stop(self) -> None:
        """End all engines."""
        for places in self._places.values():
            for place in places:
                place.engine.stop()
        self._places.clear()
