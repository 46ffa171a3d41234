"""Presets are systems of the field that are no strategy of their own."""

from edgenas.system import plugins
from edgenas.workflows.presets import PRESETS, preset_settings


def test_no_preset_has_the_name_of_a_strategy():
    assert set(PRESETS) & set(plugins.names("strategies")) == set()


def test_without_a_preset_nothing_is_set():
    assert preset_settings(None) == {}
