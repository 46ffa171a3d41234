"""Which ops are measured."""

from dataclasses import replace

import pytest

from edgenas.errors import DamagedRun, TableError
from edgenas.latency.table import read_table, write_table
from edgenas.spaces.build import build_space
from edgenas.spaces.sampling import distinct_nodes
from edgenas.system.file_index import begin
from edgenas.system.progress import SilentReporter
from edgenas.system.run_folder import RunFolder
from edgenas.workflows.context import Context
from edgenas.workflows.kept_table import keep_table
from edgenas.workflows.stages.profile import affordable, known_table, stratified
from edgenas.workflows.task import costs_by
from tests.workflows._tasks import ARCHS, SPACE, table, toy_task


def test_a_spread_takes_every_kind():
    nodes = distinct_nodes(build_space("mbconv", (1, 28, 28), 10))
    few = stratified(nodes, 40)
    assert len(few) <= 40 and {node.op.kind for node in few} >= {"conv", "se", "add"}
    assert stratified(few, 100) == few
    assert len({node.key for node in nodes}) == len(nodes)


def test_a_margin_that_leaves_nothing_to_search_is_left_out():
    task = toy_task(budget_ms=1.0)
    wide = table().extended({}, (), unclean_margin="0.3")
    least_ms = costs_by(task, table()).gate.many(SPACE, ARCHS).min()
    for factor, margin in ((1.5, 0.3), (1.1, 0.0)):
        found = affordable(toy_task(budget_ms=factor * least_ms), wide)
        assert found.unclean_margin == margin
        assert costs_by(task, found).gate.many(SPACE, ARCHS).min() <= factor * least_ms
    assert affordable(task, table()) == table()


class Told(SilentReporter):
    def __init__(self):
        self.lines = []

    def log(self, text):
        self.lines.append(text)


@pytest.mark.parametrize("header, told_of", [({}, False), ({"doubt": "the device was busy"}, True)])
def test_a_search_by_a_doubtful_table_says_so(tmp_path, header, told_of):
    write_table(tmp_path / "table.csv", table().extended({}, (), **header))
    told = Told()
    assert known_table(toy_task(), Context(RunFolder(tmp_path, resume=True), 0, told)) is not None
    assert told.lines == ["the table bench/onnxruntime-1t-fp32 is doubtful: the device was busy"] * told_of


def test_a_table_of_this_machine_is_the_runs_or_none(tmp_path):
    task = toy_task()
    task = replace(task, device=replace(task.device, table=None))
    begin(tmp_path)
    ctx = Context(RunFolder(tmp_path, resume=True), 0)
    path = tmp_path / "table.csv"
    write_table(path, table())
    assert known_table(task, ctx) is None, "a crash has cut it off, before its hash was there"
    keep_table(path, table)
    assert known_table(task, ctx) == read_table(path)
    path.unlink()
    with pytest.raises(DamagedRun, match=r"table\.csv is gone"):
        known_table(task, ctx)


@pytest.mark.parametrize(
    "header", [{"device": "other"}, {"runtime": "onnxruntime-web"}, {"threads": "2"}, {"precision": "int8"}]
)
def test_a_table_of_another_device_or_of_other_conditions_is_refused(tmp_path, header):
    write_table(tmp_path / "table.csv", table().extended({}, (), **header))
    ((name, value),) = header.items()
    with pytest.raises(TableError, match=f"measured with {name} {value}, the run wants"):
        known_table(toy_task(), Context(RunFolder(tmp_path, resume=True), 0))
