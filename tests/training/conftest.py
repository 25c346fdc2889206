"""One thread for every test: small networks, several tests at a time, the same numbers."""

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
