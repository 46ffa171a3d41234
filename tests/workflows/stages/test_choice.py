"""Which networks a folder says were trained."""

from edgenas.system.run_folder import write_artefact
from edgenas.workflows.stages.artefacts import Selection
from edgenas.workflows.stages.choice import selection_file, trained_codes


def test_codes_are_in_the_order_of_their_attempts(tmp_path):
    assert trained_codes(tmp_path) == []
    for attempt, codes in enumerate([("a", "b"), ("c",)]):
        write_artefact(tmp_path, selection_file(attempt), Selection(codes))
    write_artefact(tmp_path, selection_file(3), Selection(("z",)))
    assert trained_codes(tmp_path) == ["a", "b", "c"], "attempt 2 is not there, so what follows is none of this run"
