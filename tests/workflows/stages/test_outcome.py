"""What stands beside the result is made again without it."""

import shutil

import pytest

from edgenas.cli.main import main
from edgenas.workflows.result import Result
from tests._searched import hashes, search


def test_a_lost_report_is_made_again_and_the_result_stays(searched, tmp_path, capsys):
    run = shutil.copytree(searched, tmp_path / "run")
    before = hashes(run)
    (run / "report.json").unlink()
    with pytest.warns(UserWarning, match=r"report\.json is not as it was written: it is made again"):
        found = search(run, resume=True)
    after = hashes(run)
    assert found == Result.from_json((searched / "result.json").read_bytes()).at(run)
    for name in ("report.json", "result.json"):
        assert after[name] == before[name]
    assert main(["search", "--output", str(run), "--resume", "--quiet"]) == 0
    assert "validation" in capsys.readouterr().out
