import math
import pickle
from dataclasses import asdict

import numpy as np
import pytest
import torch

from skmemto._nn.layers import build_empty
from skmemto._nn.memto import MEMTOConfig, MEMTONetwork
from skmemto._nn.saving import pack, unpack

CONFIG = MEMTOConfig(
    n_features=3,
    n_memory_items=4,
    d_model=6,
    n_heads=2,
    n_layers=2,
    dim_feedforward=8,
    dropout=0.1,
    noise=0.2,
    temperature=0.1,
    entropy_weight=0.01,
)


@pytest.fixture
def network():
    """Make a network after one step of training, its memory updated."""
    network = build_empty(lambda: MEMTONetwork(CONFIG))
    generator = torch.Generator().manual_seed(0)
    network.initialize(generator)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.1)
    network.train()
    network.loss(make_windows(), generator).backward()
    optimizer.step()
    return network.eval()


def make_windows():
    return torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(1))


def leaves(packed):
    if isinstance(packed, dict):
        for name, value in packed.items():
            assert type(name) is str
            yield from leaves(value)
    else:
        yield packed


def test_packed_is_plain_data(network):
    packed = pack(network)
    for value in leaves(packed):
        assert type(value) in {int, float, np.ndarray}
        if isinstance(value, np.ndarray):
            assert value.dtype == np.float32
    assert packed["config"] == asdict(CONFIG)
    assert packed["arrays"].keys() == network.state_dict().keys()


def test_pickle_holds_no_more_than_the_arrays(network):
    # The items as a small part of something large: a tensor would save all of it.
    network.memory.set_items(torch.zeros(100_000, 6)[:4])
    packed = pack(network)
    n_bytes = sum(array.nbytes for array in packed["arrays"].values())
    # Names, shapes and such of about 40 arrays beside their numbers.
    assert len(pickle.dumps(packed)) < n_bytes + 8_000


@pytest.mark.parametrize("pickled", [False, True])
def test_round_trip_is_bitwise_equal(network, pickled):
    packed = pack(network)
    if pickled:
        packed = pickle.loads(pickle.dumps(packed))
    again = unpack(MEMTONetwork, packed).eval()
    assert again.config == CONFIG
    state = again.state_dict()
    assert state.keys() == network.state_dict().keys()
    for name, array in network.state_dict().items():
        assert torch.equal(state[name], array), name
    for a, b in zip(again(make_windows()), network(make_windows()), strict=True):
        assert torch.equal(a, b)
    repacked = pack(again)
    assert repacked["config"] == packed["config"]
    for name, array in packed["arrays"].items():
        assert repacked["arrays"][name].tobytes() == array.tobytes()


def test_unpacked_shares_nothing_with_what_it_came_from(network):
    packed = pack(network)
    before = network.memory.items.clone()
    again = unpack(MEMTONetwork, packed)
    for array in again.state_dict().values():
        array.fill_(0)
    assert torch.equal(network.memory.items, before)
    assert np.array_equal(packed["arrays"]["memory.items"], before)


def test_unpack_takes_read_only_arrays(network):
    # Such as joblib.load(..., mmap_mode="r") gives.
    packed = pickle.loads(pickle.dumps(pack(network)))
    for array in packed["arrays"].values():
        array.flags.writeable = False
    again = unpack(MEMTONetwork, packed)
    assert torch.equal(again.memory.items, network.memory.items)


def test_unpacked_network_can_be_trained_on(network):
    again = unpack(MEMTONetwork, pack(network)).train()
    windows = make_windows()
    windows[0, 0, 0] = math.nan
    again.loss(windows).backward()
    for name, parameter in again.named_parameters():
        assert parameter.grad is not None, name


def test_saving_leaves_global_random_state(network):
    before = torch.get_rng_state()
    unpack(MEMTONetwork, pack(network))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("change", ["missing", "unknown", "shape"])
def test_unpack_rejects_arrays_that_do_not_fit(network, change):
    packed = pack(network)
    if change == "missing":
        del packed["arrays"]["memory.items"]
    elif change == "unknown":
        packed["arrays"]["memory.more"] = np.zeros(2)
    else:
        packed["arrays"]["memory.items"] = np.zeros((5, 6), dtype=np.float32)
    with pytest.raises(RuntimeError, match=r"memory\."):
        unpack(MEMTONetwork, packed)
