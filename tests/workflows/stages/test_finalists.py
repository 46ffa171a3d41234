"""How long a finalist is trained."""

import pytest

from edgenas.training.settings import RECIPES
from edgenas.workflows.stages.finalists import final_settings
from tests.workflows._tasks import images, toy_task


def test_the_quick_recipe_sees_8000_images_and_six_epochs_at_least():
    epochs = final_settings(toy_task()).epochs
    assert epochs >= 6 and epochs * len(images().train) >= 8000


@pytest.mark.parametrize("recipe", ["300", "darts600"])
def test_a_recipe_is_taken_as_it_is_but_for_what_is_asked(recipe):
    assert final_settings(toy_task(recipe=recipe)) == RECIPES[recipe]
    asked = final_settings(toy_task(recipe=recipe, final_epochs=3, ghost_batch=16))
    assert (asked.epochs, asked.ghost_batch, asked.optimizer) == (3, 16, RECIPES[recipe].optimizer)
