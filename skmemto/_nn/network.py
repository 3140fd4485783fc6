"""What a detector asks of its network, and networks as plain data."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, ClassVar, TypeVar

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


def unpack(network_class: type[WindowNetwork], packed: dict[str, Any]) -> WindowNetwork:
    """Make the network anew, on the CPU."""
    config = network_class.config_class(**packed["config"])
    # A class that is not abstract takes its config.
    make: Callable[[Any], WindowNetwork] = network_class
    network = build_empty(lambda: make(config))
    network.load_state_dict(
        {name: torch.tensor(array) for name, array in packed["arrays"].items()}
    )
    return network
