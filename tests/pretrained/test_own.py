"""A network of one's own: a function, and a file with its weights."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import torch

from edgenas.errors import DataError, UnknownName, UsageError
from edgenas.nn.network import fresh_network
from edgenas.pretrained import own
from edgenas.system import plugins
from tests.pretrained._networks import lite, stirred

pytestmark = pytest.mark.usefixtures("any_plugin")

NAME = "tests.pretrained._networks:lite"


def lite_with_input() -> torch.nn.Module:
    module = lite()
    module.image_size, module.mean, module.std = 96, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
    return module


def number() -> int:
    return 1


def failing() -> torch.nn.Module:
    raise RuntimeError("no such layer")


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "mine.pt"
    torch.save(stirred(lite()).state_dict(), path)
    return path


def space_of(weights: Path, name: str = NAME):
    return own.build(name, weights=weights).space((3, 64, 64), 7)


def logits(space) -> torch.Tensor:
    network = fresh_network(space, space.whole, 0, "cpu").eval()
    with torch.no_grad():
        return network(torch.ones(1, 3, 64, 64))


def test_the_weights_of_the_file_are_those_of_the_network(file):
    module = lite().eval()
    module.load_state_dict(torch.load(file, weights_only=True))
    with torch.no_grad():
        expected = module(torch.ones(1, 3, 64, 64))
    assert (logits(space_of(file)) - expected).abs().max() < 1e-5


@pytest.mark.parametrize("key", own.WRAPPERS)
def test_a_checkpoint_of_a_training_is_looked_into(file, tmp_path, key):
    wrapped = tmp_path / "checkpoint.pt"
    torch.save({key: torch.load(file, weights_only=True), "epoch": 3}, wrapped)
    assert torch.equal(logits(space_of(wrapped)), logits(space_of(file)))


def test_the_module_says_what_it_takes():
    plain, told = own.build(NAME), own.build(f"{__name__}:lite_with_input")
    assert (plain.side, plain.mean) == (own.SIDE, own.MEAN)
    assert (told.side, told.mean, told.std) == (96, (0.5,) * 3, (0.25,) * 3)


@pytest.mark.parametrize(
    "name, error, message",
    [
        ("tests.nowhere:lite", UnknownName, "cannot import 'tests.nowhere'"),
        ("tests.pretrained._networks:nothing", UnknownName, "tests.pretrained._networks has no function 'nothing'"),
        (f"{__name__}:number", UsageError, "it returned int, not a torch.nn.Module"),
        (f"{__name__}:failing", UsageError, r"it failed \(RuntimeError: no such layer\)"),
    ],
)
def test_a_function_that_makes_no_network_is_named(name, error, message):
    with pytest.raises(error, match=message):
        own.build(name)


def test_weights_of_another_network_are_refused(file):
    with pytest.raises(UsageError, match="the weights are another network's: "):
        _ = space_of(file, "tests.pretrained._networks:resnet").trained


@pytest.mark.parametrize("content", [b"", b"no weights", b"PK\x03\x04"])
def test_a_file_that_holds_no_weights_is_named(tmp_path, content):
    path = tmp_path / "mine.pt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"--weights .*mine.pt: torch cannot read it as weights alone"):
        _ = space_of(path).trained


def test_a_file_of_other_things_is_named(tmp_path):
    path = tmp_path / "mine.pt"
    torch.save([1, 2], path)
    with pytest.raises(DataError, match="it holds no state dict"):
        _ = space_of(path).trained


def test_weights_are_asked_for():
    with pytest.raises(UsageError, match="give its weights with --weights FILE"):
        _ = own.build(NAME).space((3, 64, 64), 7).trained


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UsageError, match="there is no such file"):
        _ = space_of(tmp_path / "gone.pt").trained
    with pytest.raises(UsageError, match="is a folder; give the file in it"):
        _ = space_of(tmp_path).trained


@pytest.mark.parametrize("prefix", [*own.PREFIXES, "module._orig_mod."])
def test_what_wraps_a_network_in_training_leaves_no_trace(file, tmp_path, prefix):
    wrapped = tmp_path / "wrapped.pt"
    torch.save({f"{prefix}{name}": value for name, value in torch.load(file, weights_only=True).items()}, wrapped)
    assert torch.equal(logits(space_of(wrapped)), logits(space_of(file)))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["body.0.weight", "body.1.running_mean", "classifier.1.bias"])
def test_values_that_are_no_numbers_are_named(file, value, name):
    weights = torch.load(file, weights_only=True)
    weights[name].view(-1)[-1] = value
    torch.save(weights, file)
    with pytest.raises(DataError, match=f"tensor '{name}' of .*mine.pt holds values that are NaN or infinite"):
        own.build(NAME, weights=file).check()


def test_variances_below_zero_are_named(file):
    weights = torch.load(file, weights_only=True)
    weights["body.1.running_var"][0] = -1
    torch.save(weights, file)
    with pytest.raises(DataError, match="tensor 'body.1.running_var' of .* holds variances below 0"):
        own.build(NAME, weights=file).check()


def lite_with(**attributes):
    module = lite()
    for name, value in attributes.items():
        setattr(module, name, value)
    return module


@pytest.mark.parametrize(
    "attributes, message",
    [
        ({"std": (0.2, 0.0, 0.2)}, "its std is .*; pixels are divided by it"),
        ({"std": (0.2, float("nan"), 0.2)}, "its std is .*give a finite number for each channel"),
        ({"std": 0}, "its mean has 3 entries, its std 1"),
        ({"mean": (0.5, float("inf"), 0.5)}, "its mean is .*give a finite number"),
        ({"mean": "abc"}, "its mean is 'abc'; give a finite number"),
        ({"mean": ()}, "its mean is .*give a finite number"),
        ({"mean": torch.zeros(1, 3, 1, 1)}, "its mean is tensor"),
        ({"mean": (0.5,)}, "its mean has 1 entries, its std 3"),
        ({"image_size": (96, 96)}, "its image_size is .*give the side of the images in pixels"),
        ({"image_size": float("nan")}, "its image_size is nan"),
        ({"image_size": 0}, "its image_size is 0"),
    ],
)
def test_a_wrong_description_of_the_input_is_named(monkeypatch, attributes, message):
    monkeypatch.setattr(f"{__name__}.number", lambda: lite_with(**attributes))
    with pytest.raises(UsageError, match=message):
        own.build(f"{__name__}:number")


def test_the_normalisation_has_an_entry_a_channel(monkeypatch, file):
    monkeypatch.setattr(f"{__name__}.number", lambda: lite_with(mean=(0.5,) * 4, std=(0.5,) * 4))
    with pytest.raises(UsageError, match="have 4 entries, and its layer 'body.0' takes images of 3 channels"):
        own.build(f"{__name__}:number", weights=file).check()
    own.build(NAME, weights=file).check()


@pytest.mark.parametrize("name, source", [(NAME, "own"), ("efficientnet-lite0", "efficientnet-lite0")])
def test_names_lead_to_their_source(name, source):
    assert plugins.pretrained(name)[0] == source


@pytest.mark.parametrize("name", ["efficientnet-lite9", "resnet18", "a b:c", "own", "own:x.y"])
def test_other_names_are_refused(name):
    with pytest.raises(UnknownName, match="--pretrained: no network"):
        plugins.pretrained(name)


def test_a_spec_of_a_network_of_one_s_own_runs_nothing():
    from edgenas.errors import EdgeNASError
    from edgenas.spaces.build import parse_spec

    before = set(sys.modules)
    with pytest.raises(EdgeNASError):
        parse_spec("this:build 3x64x64 10")
    assert "this" not in set(sys.modules) - before


def test_a_file_that_holds_code_runs_none_of_it(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path}/owned",)

    path = tmp_path / "mine.pt"
    torch.save({"body.0.weight": Evil()}, path)
    with pytest.raises(DataError, match="torch cannot read it as weights alone"):
        _ = space_of(path).trained
    assert not (tmp_path / "owned").exists()
