"""Networks as plain data: sizes and NumPy arrays.

What was trained on a GPU loads on a CPU, no tensor's hidden storage is saved, and
nothing but dicts, numbers and arrays has to be trusted on loading.
"""

from dataclasses import asdict
from typing import Any

import torch
from torch import nn

from skmemto._nn.layers import build_empty


def pack(network: nn.Module) -> dict[str, Any]:
    """Return the sizes, parameters and buffers of a network."""
    arrays = {name: t.cpu().numpy().copy() for name, t in network.state_dict().items()}
    return {"config": asdict(network.config), "arrays": arrays}


def unpack(network_class: type[nn.Module], packed: dict[str, Any]) -> nn.Module:
    """Make the network anew, on the CPU."""
    config = network_class.config_class(**packed["config"])
    network = build_empty(lambda: network_class(config))
    network.load_state_dict(
        {name: torch.tensor(array) for name, array in packed["arrays"].items()}
    )
    return network
