from __future__ import annotations

import pytest

import edgenas
from edgenas.workflows.list import KINDS, Entry, NetworkEntry, TableEntry

RECORDS = {"devices": TableEntry, "pretrained": NetworkEntry}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_entries_with_names(kind):
    found = edgenas.list(kind)
    assert found and all(isinstance(entry, RECORDS.get(kind, Entry)) for entry in found)
    assert all(entry.name for entry in found)


def test_strategies_come_with_their_options():
    options = {entry.name: entry.options for entry in edgenas.list("strategies")}
    assert options["darts"]["guards"][0] == "on" and options["random"] == {}


def test_another_kind_is_refused_with_those_that_there_are():
    with pytest.raises(edgenas.UsageError, match="spaces, pretrained, strategies"):
        edgenas.list("spacs")
