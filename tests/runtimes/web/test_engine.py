"""The pool of engines: one is shared while there is room, a new one is started when it is full or dead."""

from pathlib import Path

import pytest

from edgenas.runtimes.web.engine import MAX_LOADED_BYTES, Pool


class Dummy:
    """An engine that only knows whether it works."""

    folder = Path(".")

    def __init__(self, threads):
        self.threads, self.working = threads, True

    def ask(self, command):
        return {}

    def stop(self):
        self.working = False


@pytest.fixture
def pool():
    pool = Pool(Dummy)
    yield pool
    pool.stop()


def test_models_beyond_an_engines_room_go_to_another(pool):
    first = pool.place(1, 10)
    first.loaded_bytes = MAX_LOADED_BYTES - 10
    assert pool.place(1, 10) is first
    second = pool.place(1, 11)
    assert second.engine is not first.engine
    pool.stop()
    assert not first.engine.working and not second.engine.working


def test_a_model_larger_than_the_room_gets_an_empty_engine(pool):
    place = pool.place(1, 2 * MAX_LOADED_BYTES)
    assert pool.place(1, 2 * MAX_LOADED_BYTES) is place, "nothing was loaded yet"
    place.loaded_bytes = 2 * MAX_LOADED_BYTES
    assert pool.place(1, 1) is not place


def test_each_number_of_threads_has_engines_of_its_own_and_a_dead_one_is_replaced(pool):
    one, two = pool.place(1), pool.place(2)
    assert (one.engine.threads, two.engine.threads) == (1, 2)
    one.engine.working = False
    assert pool.place(1).engine is not one.engine and pool.place(2) is two
