"""What there is to choose from."""

import pytest

from edgenas.system import plugins
from edgenas.workflows.list import KINDS, entries, options


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_entries_with_names(kind):
    assert all(entry.name for entry in entries(kind, with_details=False))


def test_every_plugin_says_what_it_is():
    for kind in plugins.KINDS:
        for entry in entries(kind, with_details=False):
            assert entry.description.endswith((".", ":")) or entry.description, (kind, entry.name)


def test_options_begin_with_the_default():
    assert options("gdas")["gates"] == ("softmax", "hard-concrete")
    assert options("random") == {}


def test_a_damaged_table_is_listed_with_its_error(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "edgenas" / "tables" / "pi5"
    folder.mkdir(parents=True)
    (folder / "broken.csv").write_text("nothing")
    (row,) = [row for row in entries("devices") if row.name == "pi5"]
    assert row.error and "broken.csv" in row.file
