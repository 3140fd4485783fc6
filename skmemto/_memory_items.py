"""Where the items of a memory are put: at the centres of clusters of queries."""

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.utils import gen_batches
from torch import Tensor, nn

from skmemto._windows import WindowBlock

# k-means on the queries: share of the training windows (the paper's), and the
# number of queries below which more windows are taken and above which fewer.
_KMEANS_SHARE = 0.1
_KMEANS_QUERIES = (1_000, 50_000)
# Queries that are no further apart, in units of all, differ by rounding.
_SAME = 1e-5


def sample_queries(
    encoder: nn.Module,
    get_windows: Callable[[NDArray[np.int64], int], Tensor],
    blocks: list[WindowBlock],
    *,
    batch_size: int,
    rng: np.random.RandomState,
) -> NDArray[np.float64]:
    """Encode a random tenth of the windows: queries (n, D).

    Each length of window is drawn in proportion to its share of the queries.
    """
    n_queries = sum(block.length * len(block.starts) for block in blocks)
    least, most = (min(n / n_queries, 1.0) for n in _KMEANS_QUERIES)
    share = np.clip(_KMEANS_SHARE, least, most)
    parts = []
    for block in blocks:
        drawn = rng.permutation(block.starts)[: math.ceil(share * len(block.starts))]
        for batch in gen_batches(len(drawn), batch_size):
            with torch.inference_mode():
                queries = encoder(get_windows(drawn[batch], block.length))
            parts.append(queries.flatten(0, 1).cpu())
    return torch.cat(parts).double().numpy()


def place_items(
    items: Tensor, queries: NDArray[np.float64], rng: np.random.RandomState
) -> Tensor:
    """Return items (M, D) that are the centres of clusters of queries (n, D).

    Constant data has fewer distinct queries than items; those left over stay.
    """
    spread = float(np.ptp(queries)) or 1.0
    distinct = np.unique(np.round(queries / (_SAME * spread)), axis=0)
    n_clusters = min(len(items), len(distinct))
    kmeans = KMeans(n_clusters, random_state=rng).fit(queries)
    placed = items.clone()
    placed[:n_clusters] = torch.from_numpy(kmeans.cluster_centers_)
    return placed
