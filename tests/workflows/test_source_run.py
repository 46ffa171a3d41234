"""What a run keeps of another whose weights it uses."""

import pytest

from edgenas.errors import UsageError
from edgenas.system.file_index import INDEX
from edgenas.workflows.source_run import SOURCE, begun_with, kept_files, same_table, take_over
from edgenas.workflows.task import Device


def test_all_of_it_or_nothing(searched, tmp_path):
    take_over(searched, tmp_path)
    kept = {path.name for path in (tmp_path / SOURCE).iterdir()}
    assert kept == {*kept_files(searched, begun_with(searched)), INDEX}
    assert {path.name for path in tmp_path.iterdir()} == {SOURCE, f"{SOURCE}.json"}


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(UsageError, match="holds no run"):
        take_over(tmp_path, tmp_path)


@pytest.mark.parametrize("change", [{}, {"name": "pi4"}, {"precision": "int8"}, {"threads": 2}, {"runtime": "other"}])
def test_which_runs_price_alike(change):
    fields = {
        "name": "pi5",
        "table": None,
        "runtime": "onnxruntime",
        "threads": 1,
        "precision": "fp32",
        "is_here": True,
    }
    assert same_table(Device(**fields), Device(**{**fields, **change})) is (not change)
