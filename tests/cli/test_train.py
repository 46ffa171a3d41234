from __future__ import annotations

import json
from dataclasses import replace

from edgenas.cli import main as cli
from edgenas.workflows.config import Config
from edgenas.workflows.train import Trained


def test_train(fake, capsys):
    training = fake("train", answer=Trained("012", float("nan"), 144, "runs/one", 0.5, {"cat": 1.0, "dog": 0.0}))
    assert cli.main(["train", "012", "--final-epochs", "2", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown == {
        **{"arch": "012", "validation_accuracy": None, "validation_images": 144, "run": "runs/one"},
        **{"validation_balanced_accuracy": 0.5, "validation_recall": {"cat": 1.0, "dog": 0.0}},
    }
    [(config, arch, _, _), _], *_ = training.calls
    assert (replace(config, output=None), arch) == (Config(final_epochs=2), "012")


def test_a_resumed_training_needs_no_code(fake, tmp_path):
    training = fake("train", answer=Trained("012", 0.5, 144, "runs/one"))
    (tmp_path / "config.toml").write_text("seed = 3\n")
    (tmp_path / "format.json").write_text('{"format": 2, "version": "0.2.0"}')
    assert cli.main(["train", "--output", str(tmp_path), "--resume"]) == 0
    [(config, arch, _, _), _], *_ = training.calls
    assert (config.seed, config.resume, arch) == (3, True, None)


def test_train_prints_a_line_for_each_thing_that_is_known(fake, capsys):
    fake("train", answer=Trained("012", 0.91, 144, "runs/a\nb", 0.9, {"a\nb": 0.9}))
    assert cli.main(["train", "012"]) == 0
    lines = capsys.readouterr().out.splitlines()
    names = ["arch", "validation_accuracy", "validation_images", "run", "validation_balanced_accuracy", "recall"]
    assert [line.split()[0] for line in lines] == names
    assert lines[3].endswith("runs/a\\nb") and lines[-1].split("  ")[0] == "recall of 'a\\nb'"
