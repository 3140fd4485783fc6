"""Devices, precision, generators."""

import numpy as np
import pytest
import torch

from skmemto._device import autocast, make_generator, resolve_device, usable_device


def test_auto_takes_the_best(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto") == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert resolve_device("auto") == "mps"
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert resolve_device("auto") == "cpu"


@pytest.mark.parametrize("device", ["nonsense", "cuda:99"])
def test_a_device_that_is_not_there(device):
    with pytest.raises(ValueError, match=f"{device}' cannot be used on this machine"):
        resolve_device(device)
    assert usable_device(device) == "cpu"


def test_autocast():
    x = torch.ones(2, 2)
    with autocast("cpu", "bfloat16"):
        assert (x @ x).dtype == torch.bfloat16
    with autocast("cpu", "float32"):
        assert (x @ x).dtype == torch.float32


def test_generators_come_from_the_random_state():
    def draw(seed, **kwargs):
        rng = np.random.RandomState(seed)
        return torch.rand(3, generator=make_generator(rng, **kwargs))

    assert torch.equal(draw(0), draw(0))
    assert not torch.equal(draw(0), draw(1))
    assert not torch.equal(draw(0), draw(0, stream=1))
