"""How long a finalist is trained, and what it begins with."""

from dataclasses import replace

import pytest
import torch

from edgenas.nn.network import fresh_network
from edgenas.testing.toy import noise
from edgenas.training.distillation import Teacher
from edgenas.training.settings import RECIPES
from edgenas.workflows.stages.finalists import epochs_in_all, final_settings, fine_tuned
from tests.pretrained.converter.test_space import space_of
from tests.workflows._tasks import context, images, toy_task


def test_the_quick_recipe_sees_8000_images_and_six_epochs_at_least():
    epochs = final_settings(toy_task()).epochs
    assert epochs >= 6 and epochs * len(images().train) >= 8000


@pytest.mark.parametrize("recipe", ["300", "darts600"])
def test_a_recipe_is_taken_as_it_is_but_for_what_is_asked(recipe):
    assert final_settings(toy_task(recipe=recipe)) == RECIPES[recipe]
    asked = final_settings(toy_task(recipe=recipe, final_epochs=3, ghost_batch=16))
    assert (asked.epochs, asked.ghost_batch, asked.optimizer) == (3, 16, RECIPES[recipe].optimizer)


@pytest.mark.parametrize("recipe, asked, cut, in_all", [("quick", None, 2, 3), ("quick", 4, 1, 2), ("300", None, 1, 2)])
def test_a_cut_is_trained_for_twice_the_epochs_of_its_teacher(recipe, asked, cut, in_all):
    space = space_of("lite", 32, classes=3)[1]
    whole = replace(toy_task(recipe=recipe, final_epochs=asked), space=space, data=noise((3, 32, 32), 3))
    task = replace(whole, teacher=Teacher(fresh_network(space, space.whole, 0, "cpu")))
    epochs = final_settings(whole).epochs
    assert final_settings(task).epochs == cut * epochs
    assert epochs_in_all(task) == epochs_in_all(whole) == in_all * epochs


def statistics(network):
    return {name: t for name, t in network.state_dict().items() if name.endswith((".mean", ".variance"))}


@pytest.mark.parametrize("case", ["whole", "cut", "cut of a teacher"])
def test_trained_weights_keep_their_statistics_unless_a_cut_has_none_of_its_own(tmp_path, case):
    space = space_of("lite", 32, classes=3)[1].restrict({"width": [0]})
    task = replace(toy_task(final_epochs=1), space=space, data=noise((3, 32, 32), 3))
    place = next(i for i, choice in enumerate(space.choices) if choice.name.endswith(".expand"))
    arch = space.whole if case == "whole" else (*space.whole[:place], 1, *space.whole[place + 1 :])
    before, network = (fresh_network(space, arch, 0, "cpu") for _ in range(2))
    assert before.needs_head and final_settings(task).frozen_statistics
    if case == "cut of a teacher":
        network.needs_head, task = False, replace(task, teacher=Teacher(fresh_network(space, space.whole, 0, "cpu")))
    fine_tuned(task, context(tmp_path), network, "network", arch)
    old, new = statistics(before), statistics(network)
    assert all(torch.equal(old[name], new[name]) for name in old) == (case != "cut")
