"""What a detector asks of its network, and networks as plain data."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, fields
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from skmemto._nn.shapes import Float


class WindowNetwork(nn.Module, ABC):
    """A network that reconstructs windows of a series.

    NaN in a window is a missing value. Parameters and buffers are all there is to
    a network besides its `config`, a frozen dataclass of plain numbers.
    """

    config_class: ClassVar[type[Any]]
    config: Any

    @abstractmethod
    def initialize(self, generator: torch.Generator) -> None:
        """Fill all parameters and buffers from `generator`."""

    @abstractmethod
    def loss(
        self, windows: Float[Tensor, "B L F"], generator: torch.Generator | None = None
    ) -> Float[Tensor, ""]:
        """Return what training minimises; noise and dropout come from `generator`."""

    @abstractmethod
    def forward(
        self, windows: Float[Tensor, "B L F"]
    ) -> tuple[Float[Tensor, "B L F"], Float[Tensor, "B L"]]:
        """Return the reconstruction and the latent deviation; changes nothing."""


NetworkT = TypeVar("NetworkT", bound=nn.Module)


def build_empty(make: Callable[[], NetworkT]) -> NetworkT:
    """Make a network whose parameters hold nothing yet.

    Torch layers fill their parameters from the global random state when they are
    made. Made on the "meta" device they leave it alone; the caller fills them
    with `initialize` or `load_state_dict`.
    """
    with torch.device("meta"):
        network = make()
    return network.to_empty(device="cpu").float()


def pack(network: WindowNetwork) -> dict[str, Any]:
    """Return the sizes, parameters and buffers of a network as NumPy arrays.

    What was trained on a GPU loads on a CPU, no tensor's hidden storage is saved, and
    nothing but dicts, numbers and arrays has to be trusted on loading.
    """
    arrays = {name: t.cpu().numpy().copy() for name, t in network.state_dict().items()}
    return {"config": asdict(network.config), "arrays": arrays}


def unpack(
    network_class: type[WindowNetwork], packed: Any, n_features: int
) -> WindowNetwork:
    """Make the network anew, on the CPU.

    Raises
    ------
    ValueError
        If what was packed is not that of such a network, for so many features.
    """
    if not isinstance(packed, dict) or packed.keys() != {"config", "arrays"}:
        raise ValueError("model_ must hold sizes and arrays of a network")
    arrays = packed["arrays"]
    config = _to_config(network_class.config_class, packed["config"], arrays)
    if config.n_features != n_features:
        raise ValueError(
            f"model_.config.n_features must be {n_features}, and is {config.n_features}"
        )
    # A class that is not abstract takes its config.
    make: Callable[[Any], WindowNetwork] = network_class
    with torch.device("meta"):
        _check_arrays(arrays, make(config).state_dict())
    network = build_empty(lambda: make(config))
    network.load_state_dict({n: torch.tensor(array) for n, array in arrays.items()})
    return network


def _to_config(config_class: type[Any], sizes: Any, arrays: Any) -> Any:
    """Return a config, if numbers can be those of a network with such arrays."""
    kinds = {field.name: field.type for field in fields(config_class)}
    for what, found, names in (
        ("config", sizes, kinds.keys()),
        ("arrays", arrays, arrays if isinstance(arrays, dict) else ()),
    ):
        if not isinstance(found, dict) or found.keys() != set(names):
            raise ValueError(f"model_.{what} must hold {', '.join(names) or 'arrays'}")
    # No size of a network is larger than all that it holds.
    largest = sum(np.size(array) for array in arrays.values())
    for name, value in sizes.items():
        limit = len(arrays) if name == "n_layers" else largest
        if kinds[name] is int:
            holds = type(value) is int and 1 <= value <= limit
        else:
            holds = type(value) is float and 0 <= value < np.inf
        if not holds or (name == "temperature" and value == 0):
            raise ValueError(f"model_.config.{name} can't be {value!r:.60}")
    if sizes["d_model"] % sizes["n_heads"]:
        raise ValueError("model_.config.n_heads must divide d_model")
    return config_class(**sizes)


def _check_arrays(
    arrays: dict[str, Any], expected: dict[str, Float[Tensor, "..."]]
) -> None:
    if odd := arrays.keys() ^ expected.keys():
        raise ValueError(f"model_.arrays.{min(odd)} is missing, or not known")
    for name, tensor in expected.items():
        array = arrays[name]
        shape, dtype = tuple(tensor.shape), str(tensor.dtype).removeprefix("torch.")
        if getattr(array, "shape", None) != shape or array.dtype != dtype:
            raise ValueError(
                f"model_.arrays.{name} must be {dtype} of shape {shape}, and is not"
            )
        if not np.isfinite(array).all():
            raise ValueError(f"model_.arrays.{name} must be finite, and is not")
