"""What every network keeps to, and networks as plain data."""

import math
import pickle
from abc import ABC
from dataclasses import asdict
from itertools import combinations

import numpy as np
import pytest
import torch
from conftest import (
    TINY,
    assert_state,
    copy_state,
    initialized,
    make_network,
    random_tensor,
    seeded,
)

from skmemto._device import autocast
from skmemto._nn.network import WindowNetwork, build_empty, pack, unpack

NETWORKS = pytest.mark.parametrize(
    "network_class", TINY, ids=lambda network_class: network_class.__name__
)


# ---------------------------------------------------------------- the contract


def test_a_network_says_how_to_fill_train_and_run_it():
    asked = {"initialize", "loss", "forward"}
    assert WindowNetwork.__abstractmethods__ == asked
    for given in (*combinations(asked, 0), *combinations(asked, 2)):
        methods = dict.fromkeys(given, lambda self, *_: None)
        with pytest.raises(TypeError, match="abstract"):
            type("Unfinished", (WindowNetwork,), methods)()
    type("Finished", (WindowNetwork,), dict.fromkeys(asked, lambda self, *_: None))()


@NETWORKS
def test_networks_keep_to_it(network_class):
    assert issubclass(network_class, WindowNetwork)
    assert issubclass(WindowNetwork, ABC)
    network = initialized(network_class)
    assert isinstance(network.config, network_class.config_class)
    with pytest.raises(AttributeError):  # frozen
        network.config.d_model = 8


@NETWORKS
def test_initialize_fills_everything_reproducibly(network_class):
    states = []
    before = torch.get_rng_state()
    for seed, rubbish in ((0, math.nan), (0, 1e30), (1, 0.0)):
        network = build_empty(lambda: network_class(TINY[network_class]))
        for array in network.state_dict().values():
            array.fill_(rubbish)
        network.initialize(seeded(seed))
        states.append(network.state_dict())
    assert torch.equal(torch.get_rng_state(), before)
    for name, array in states[0].items():
        assert torch.equal(array, states[1][name]), name
        if array.ndim == 2 and not name.endswith("missing"):
            assert not torch.equal(array, states[2][name]), name


@NETWORKS
@pytest.mark.parametrize("training", [False, True])
def test_forward_changes_nothing(network_class, training):
    network = make_network(network_class, dropout=0.5, noise=0.5).train(training)
    windows = random_tensor(3, 4, 2)
    before = copy_state(network)
    first, again = network(windows), network(windows)
    assert_state(network, before)
    for a, b in zip(first, again, strict=True):
        assert torch.equal(a, b)


@NETWORKS
def test_loss_in_eval_mode_changes_nothing(network_class):
    network = make_network(network_class)
    windows = random_tensor(3, 4, 2)
    before = copy_state(network)
    first = network.loss(windows)
    first.backward()
    assert_state(network, before)
    assert torch.equal(network.loss(windows), first)
    assert torch.equal(windows, random_tensor(3, 4, 2))


@NETWORKS
@pytest.mark.parametrize("sizes", [{"noise": 0.5}, {"dropout": 0.5}], ids=str)
def test_training_draws_from_its_generator_only(network_class, sizes):
    windows = random_tensor(3, 4, 2)
    before = torch.get_rng_state()

    def loss(seed, **sizes):
        network = make_network(network_class, **sizes).train()
        generator = None if seed is None else seeded(seed)
        return network.loss(windows, generator).item()

    assert loss(0, **sizes) == loss(0, **sizes) != loss(1, **sizes)
    # Without a generator there is neither noise nor dropout.
    assert loss(None, **sizes) == loss(None)
    assert torch.equal(torch.get_rng_state(), before)


@NETWORKS
def test_all_parameters_learn_in_training(network_class):
    network = make_network(network_class).train()
    windows = random_tensor(3, 4, 2)
    windows[0, 1] = math.nan
    network.loss(windows).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad.abs().max() > 0, name


@NETWORKS
def test_training_goes_on_for_several_steps(network_class):
    network = make_network(network_class, dropout=0.1, noise=0.1)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    windows = random_tensor(8, 4, 2)
    before = network.loss(windows).item()
    network.train()
    generator = seeded(0)
    for _ in range(30):
        optimizer.zero_grad()
        network.loss(windows, generator).backward()
        optimizer.step()
    assert network.eval().loss(windows).item() < 0.8 * before


@NETWORKS
def test_one_network_takes_windows_of_any_length(network_class):
    network = make_network(network_class)
    for n_steps in (1, 2, 17, 150):
        reconstruction, latent = network(random_tensor(2, n_steps, 2))
        assert reconstruction.shape == (2, n_steps, 2)
        assert torch.isfinite(latent).all()


@NETWORKS
@pytest.mark.parametrize(
    ("n_windows", "n_steps", "sizes"),
    [
        (20, 100, {"n_features": 5, "d_model": 64, "n_heads": 4, "n_layers": 3}),
        (2048, 1, {}),
        (3, 7, {"d_model": 7, "n_heads": 1}),
    ],
)
def test_windows_of_a_batch_do_not_influence_one_another(
    network_class, n_windows, n_steps, sizes
):
    network = make_network(network_class, **sizes)
    windows = random_tensor(n_windows, n_steps, network.config.n_features)
    others = windows.clone()
    others[1::2] = 1e3 * random_tensor(*others[1::2].shape, seed=2)
    others[-1] = math.nan
    kept = slice(0, n_windows - 1, 2)
    with torch.inference_mode():
        for actual, expected in zip(network(others), network(windows), strict=True):
            assert torch.equal(actual[kept], expected[kept])
            # Alone in its window, a step has nothing to be associated with.
            assert not torch.equal(actual[1], expected[1]) or (expected == 0).all()


@NETWORKS
@pytest.mark.parametrize(("n_windows", "n_steps"), [(20, 100), (2048, 1)])
def test_order_of_windows_in_a_batch_means_nothing(network_class, n_windows, n_steps):
    # Bitwise, at the shapes and the size that the estimators score with.
    network = make_network(
        network_class, n_features=5, d_model=64, n_heads=4, n_layers=3
    )
    windows = random_tensor(n_windows, n_steps, 5)
    order = torch.randperm(n_windows, generator=seeded(0))
    with torch.inference_mode():
        permuted, expected = network(windows[order]), network(windows)
    for actual, other in zip(permuted, expected, strict=True):
        assert torch.equal(actual, other[order])


# ---------------------------------------------------------------- missing values


@NETWORKS
def test_complete_windows_take_the_plain_path_bit_by_bit(network_class):
    network = initialized(network_class, noise=0.5).train()
    windows = random_tensor(2, 6, 2)
    outputs = []
    for vectors in (0.0, 7.0):
        network.encoder.embedding.missing.data.fill_(vectors)
        state = copy_state(network)
        loss = network.loss(windows, seeded(2))
        outputs.append([loss, *network(windows)])
        network.load_state_dict(state)
    for one, other in zip(*outputs, strict=True):
        assert torch.equal(one, other)


@NETWORKS
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_complete_window_does_not_mind_a_neighbour_with_gaps(
    network_class, precision
):
    network = initialized(network_class).eval()
    network.encoder.embedding.missing.data.fill_(7.0)
    windows = random_tensor(2, 6, 2)
    with torch.inference_mode(), autocast("cpu", precision):
        complete = network(windows)
        windows[0, 2:4, 1] = torch.nan
        beside_gaps = network(windows)
    for one, other in zip(complete, beside_gaps, strict=True):
        assert torch.equal(one[1], other[1])
        assert not torch.equal(one[0], other[0])


@NETWORKS
def test_network_knows_what_was_missing(network_class):
    network = initialized(network_class)
    network.encoder.embedding.missing.data.fill_(1.0)
    constant = torch.ones(1, 6, 2)
    holes = constant.clone()
    holes[0, 2, 1] = torch.nan  # interpolated, it is the same window
    (plain, _), (told, _) = network(constant), network(holes)
    assert torch.isfinite(told).all()
    assert not torch.equal(plain, told)


@NETWORKS
@pytest.mark.parametrize("missing", [(0, 1), (0, slice(None)), (slice(None),)])
def test_loss_and_gradient_stay_finite(network_class, missing):
    network = initialized(network_class, noise=0.5).train()
    windows = random_tensor(2, 6, 2)
    windows[missing] = torch.nan
    loss = network.loss(windows, seeded(2))
    loss.backward()
    assert torch.isfinite(loss)
    for name, parameter in network.named_parameters():
        assert parameter.grad is None or torch.isfinite(parameter.grad).all(), name


# ---------------------------------------------------------------- plain data


@pytest.fixture(params=TINY, ids=lambda network_class: network_class.__name__)
def network(request):
    """Make a network after one step of training, a memory updated."""
    network = initialized(request.param, n_layers=2, dropout=0.1, noise=0.2)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.1)
    network.train().loss(random_tensor(2, 5, 2), seeded(0)).backward()
    optimizer.step()
    return network.eval()


def copy_of(network):
    return unpack(type(network), pack(network), 2)


def leaves(packed):
    if isinstance(packed, dict):
        for name, value in packed.items():
            assert type(name) is str
            yield from leaves(value)
    else:
        yield packed


def test_build_empty_leaves_global_random_state():
    before = torch.get_rng_state()
    layer = build_empty(lambda: torch.nn.Linear(3, 4, dtype=torch.float64))
    assert torch.equal(torch.get_rng_state(), before)
    assert layer.weight.device.type == "cpu"
    assert layer.weight.dtype == torch.float32


def test_packed_is_plain_data(network):
    packed = pack(network)
    for value in leaves(packed):
        assert type(value) in {int, float, np.ndarray}
        if isinstance(value, np.ndarray):
            assert value.dtype == np.float32
    assert packed["config"] == asdict(network.config)
    assert packed["arrays"].keys() == network.state_dict().keys()


def test_pickle_holds_no_more_than_the_arrays(network):
    # A weight as a small part of something large: a tensor would save all of it.
    weight = network.encoder.norm.weight
    weight.data = torch.zeros(100_000)[: len(weight)]
    packed = pack(network)
    n_bytes = sum(array.nbytes for array in packed["arrays"].values())
    # Names, shapes and such of about 40 arrays beside their numbers.
    assert len(pickle.dumps(packed)) < n_bytes + 8_000


@pytest.mark.parametrize("pickled", [False, True])
def test_round_trip_is_bitwise_equal(network, pickled):
    packed = pack(network)
    if pickled:
        packed = pickle.loads(pickle.dumps(packed))
    again = unpack(type(network), packed, 2).eval()
    assert again.config == network.config
    assert again.state_dict().keys() == network.state_dict().keys()
    assert_state(again, network.state_dict())
    windows = random_tensor(2, 5, 2)
    for a, b in zip(again(windows), network(windows), strict=True):
        assert torch.equal(a, b)
    repacked = pack(again)
    assert repacked["config"] == packed["config"]
    for name, array in packed["arrays"].items():
        assert repacked["arrays"][name].tobytes() == array.tobytes()


def test_unpacked_shares_nothing_with_what_it_came_from(network):
    packed = pack(network)
    before = copy_state(network)
    again = unpack(type(network), packed, 2)
    for array in again.state_dict().values():
        array.fill_(0)
    assert_state(network, before)
    for name, array in packed["arrays"].items():
        np.testing.assert_array_equal(array, before[name])


def test_packed_shares_nothing_with_the_network(network):
    before = copy_state(network)
    for array in pack(network)["arrays"].values():
        array[...] = 0
    assert_state(network, before)


def test_unpack_takes_read_only_arrays(network):
    # Such as joblib.load(..., mmap_mode="r") gives.
    packed = pickle.loads(pickle.dumps(pack(network)))
    for array in packed["arrays"].values():
        array.flags.writeable = False
    assert_state(unpack(type(network), packed, 2), network.state_dict())


def test_unpacked_network_can_be_trained_on(network):
    again = copy_of(network).train()
    windows = random_tensor(2, 5, 2)
    windows[0, 0, 0] = math.nan
    again.loss(windows).backward()
    for name, parameter in again.named_parameters():
        assert parameter.grad is not None, name


def test_saving_leaves_global_random_state(network):
    before = torch.get_rng_state()
    copy_of(network)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("change", ["missing", "unknown", "shape"])
def test_unpack_rejects_arrays_that_do_not_fit(network, change):
    packed = pack(network)
    name = "encoder.norm.weight"
    if change == "missing":
        del packed["arrays"][name]
    elif change == "unknown":
        packed["arrays"]["encoder.norm.more"] = np.zeros(2)
    else:
        packed["arrays"][name] = np.zeros(5, dtype=np.float32)
    with pytest.raises(ValueError, match=r"model_\.arrays\.encoder\.norm\."):
        unpack(type(network), packed, 2)
