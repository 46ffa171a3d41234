import pytest
import torch

from edgenas.data.storage import loader


class Doubled(torch.utils.data.Dataset):
    def __getitem__(self, key: int) -> int:
        return 2 * key


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("worth", [1, 100])
def test_batches_come_in_order_with_and_without_workers(monkeypatch, worth):
    monkeypatch.setattr(loader, "WORTH_WORKERS", worth)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    before = torch.get_rng_state()
    assert list(loader.loaded(Doubled(), [[1, 2], [3], [4, 5]], sum)) == [6, 6, 18]
    assert torch.equal(torch.get_rng_state(), before)
