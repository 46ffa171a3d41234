"""Decoded pictures of tests go where pytest cleans up."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def no_cache_is_left(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield
