"""A model in memory is run image by image, and what does not run is an error of ours."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.errors import DataError
from edgenas.exporters.session import first_line, outputs


def test_outputs_are_joined_in_the_order_of_the_images(model, images):
    together = outputs(model, images[:5])
    assert together.shape == (5, 5)
    np.testing.assert_array_equal(together[3], outputs(model, images[3:4])[0])


@pytest.mark.parametrize("content", [b"", b"no model"])
def test_what_is_no_model_is_a_data_error(content, images):
    with pytest.raises(DataError):
        outputs(content, images[:1])


@pytest.mark.parametrize(
    "error, line", [(ValueError("  one\ntwo"), "one"), (ValueError(), "ValueError"), (KeyError("\n"), "'\\n'")]
)
def test_errors_of_others_are_told_in_a_line(error, line):
    assert first_line(error) == line
