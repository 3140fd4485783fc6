"""How fast: beside a plain matrix product, beside simple detectors, by stride.

Everything compared is run in turn, several times over: on a busy machine a time alone
means nothing, a ratio within one run does. Part 1 shows medians over the turns, shares
being ratios within each turn; in parts 2 and 3 the shortest time counts.

1. A training step and scoring (reconstruction and latent deviation of one batch) of
   MEMTO's network, as GFLOP/s beside a plain float32 matrix product of the same
   number of rows: of width 512, and of the network's own width, repeated until it has
   as many operations as the scoring, since processors are faster for moments. Counted
   are, for each step of a window, 2 (layers (4 d^2 + 2 d ff + 2 L d) + 2 F d), and
   three times that for training; norms, memory, the decoder's hidden layer and the
   optimizer are work that takes time and does not count. Also the operations of one
   encoder layer in scoring, each alone, again and again on the same data: with torch's
   kernels a layer cannot be faster than their sum.
2. Seconds to fit and to score, beside the baselines of `accuracy.py`, on equal data.
3. Rows per second that the fitted default scores, by stride.

    python benchmarks/speed.py
    python benchmarks/speed.py --rows 5000 --repeats 3 --out speed-quick
"""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from _detectors import DETECTORS
from _markdown import markdown, pivot, succeeded, texts
from _report import CommandLine, Record, run
from torch.nn import functional

from skmemto import MEMTODetector
from skmemto.datasets import make_anomalous_series

N_FEATURES = 55
WINDOW = 100
N_WINDOWS = 32
# Width: heads, feed-forward and layers; the default's, and the paper's.
SIZES = {64: (4, 128, 2), 512: (8, 512, 3)}
WIDTH = 512
COMPARED = ("MEMTODetector", "IsolationForest", "1-NN", "KMeans40")
PRECISIONS = ("float32", "bfloat16")
STRIDES = {"window": WINDOW, "window / 2": WINDOW // 2, "window / 4": WINDOW // 4}


def in_turn(runs: dict[str, Callable[[], Any]], repeats: int) -> dict[str, np.ndarray]:
    """Seconds of each in every turn, after one to warm up."""
    for once in runs.values():
        once()
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, once in runs.items():
            start = time.perf_counter()
            once()
            times[name].append(time.perf_counter() - start)
    return {name: np.array(values) for name, values in times.items()}


def shortest(runs: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Seconds of each, the least of several runs in turn."""
    return {name: min(values) for name, values in in_turn(runs, repeats).items()}


def layer_flop_per_step(d: int, feedforward: int) -> int:
    """Floating point operations of one encoder layer for one step, forward."""
    return 2 * (4 * d**2 + 2 * d * feedforward + 2 * WINDOW * d)


def flop_per_step(d: int, feedforward: int, n_layers: int) -> int:
    """Floating point operations of one step of a window, forward."""
    return n_layers * layer_flop_per_step(d, feedforward) + 4 * N_FEATURES * d


def make_network(d: int) -> torch.nn.Module:
    """The network of a detector of width `d`; what it has learned does not matter."""
    n_heads, feedforward, n_layers = SIZES[d]
    detector = MEMTODetector(
        window_size=WINDOW,
        d_model=d,
        n_heads=n_heads,
        n_layers=n_layers,
        dim_feedforward=feedforward,
        noise=0.0,
        max_iter=1,
        device="cpu",
        random_state=0,
    )
    rng = np.random.default_rng(0)
    return detector.fit(rng.standard_normal((WINDOW, N_FEATURES))).model_


def autocast(precision: str) -> torch.autocast:
    return torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16")


class Products:
    """Plain matrix products, as many as come near to some number of operations."""

    def __init__(self, width: int, width_out: int, flop: float):
        generator = torch.Generator().manual_seed(0)
        self.a = torch.randn(N_WINDOWS * WINDOW, width, generator=generator)
        self.b = torch.randn(width, width_out, generator=generator)
        flop_of_one = 2 * len(self.a) * width * width_out
        self.times = max(1, round(flop / flop_of_one))
        self.flop = self.times * flop_of_one

    def __call__(self) -> None:
        for _ in range(self.times):
            self.a @ self.b


def network_runs(d: int, precision: str) -> dict[str, Callable[[], Any]]:
    network = make_network(d)
    generator = torch.Generator().manual_seed(0)
    windows = torch.randn(N_WINDOWS, WINDOW, N_FEATURES, generator=generator)
    optimizer = torch.optim.Adam(network.parameters(), fused=True)

    def score() -> None:
        network.eval()
        with torch.inference_mode(), autocast(precision):
            network(windows)

    def train() -> None:
        network.train()
        optimizer.zero_grad()
        with autocast(precision):
            loss = network.loss(windows)
        loss.backward()
        optimizer.step()

    return {f"train {precision}": train, f"score {precision}": score}


def layer_runs(layer: torch.nn.Module, d: int) -> dict[str, Callable[[], Any]]:
    """Make what one encoder layer does in scoring, operation by operation."""
    generator = torch.Generator().manual_seed(0)
    shape = (N_WINDOWS, WINDOW, d)
    x, y = (torch.randn(shape, generator=generator) for _ in range(2))
    hidden = torch.randn(*shape[:2], SIZES[d][1], generator=generator)
    q, k, v = layer.attention.split(x)

    def linear_maps() -> None:
        for each in (layer.attention.qkv, layer.attention.out, layer.linear1):
            each(x)
        layer.linear2(hidden)

    def attention() -> None:
        mixed = functional.scaled_dot_product_attention(q, k, v)
        mixed.transpose(1, 2).flatten(2)

    return {
        "4 linear maps": linear_maps,
        "attention": attention,
        "2 norms": lambda: (layer.norm1(x), layer.norm2(x)),
        "GELU": lambda: functional.gelu(hidden),
        "2 sums": lambda: (x + y, x + y),
    }


def layer_arithmetic(d: int, repeats: int) -> Iterator[Record]:
    """Yield seconds of each operation of a layer; of all, the share of the product."""
    flop = N_WINDOWS * WINDOW * layer_flop_per_step(d, SIZES[d][1])
    products = Products(WIDTH, WIDTH, flop)
    layer = make_network(d).encoder.layers[0]
    with torch.inference_mode():
        seconds = in_turn({"product": products, **layer_runs(layer, d)}, repeats)
    product_rates = products.flop / seconds.pop("product")
    total = sum(seconds.values())
    for name, values in seconds.items():
        yield {"operation": name, "seconds": np.median(values)}
    share = np.median(flop / total / product_rates)
    yield {"operation": "all", "seconds": np.median(total), "of_product": share}


def arithmetic(d: int, repeats: int) -> Iterator[Record]:
    """Yield GFLOP/s of the network of width `d`, and of matrix products."""
    _, feedforward, n_layers = SIZES[d]
    flop = N_WINDOWS * WINDOW * flop_per_step(d, feedforward, n_layers)
    products = {
        "product": Products(WIDTH, WIDTH, flop),
        "own product": Products(d, feedforward, flop),
    }
    flops = {name: product.flop for name, product in products.items()}
    runs: dict[str, Callable[[], Any]] = {**products}
    for precision in PRECISIONS:
        runs |= network_runs(d, precision)
        flops |= {f"train {precision}": 3 * flop, f"score {precision}": flop}
    seconds = in_turn(runs, repeats)
    rates = {name: flops[name] / seconds[name] / 1e9 for name in runs}
    for name, values in rates.items():
        yield {
            "run": name,
            "gflops": np.median(values),
            "of_product": np.median(values / rates["product"]),
            "of_own_product": np.median(values / rates["own product"]),
        }


def compare(n_rows: int, repeats: int) -> Iterator[Record]:
    """Yield seconds of fit and score of each detector on the same rows."""
    data = make_anomalous_series(
        n_train=n_rows,
        n_test=n_rows,
        n_features=N_FEATURES,
        n_events=1,
        random_state=0,
    )
    fits = {n: partial(DETECTORS[n](0).fit, data.X_train) for n in COMPARED}
    fit_seconds = shortest(fits, repeats)
    scores = {n: partial(fit().score_samples, data.X_test) for n, fit in fits.items()}
    score_seconds = shortest(scores, repeats)
    for name in COMPARED:
        seconds = fit_seconds[name], score_seconds[name]
        yield {"detector": name, "fit_seconds": seconds[0], "score_seconds": seconds[1]}


def throughput(n_rows: int, repeats: int) -> Iterator[Record]:
    """Yield rows a second that a model with windows of 100 scores, by stride."""
    X = np.random.default_rng(0).standard_normal((n_rows, N_FEATURES))
    X = X.astype(np.float32)
    few = X[: max(n_rows // 20, WINDOW)]
    model = MEMTODetector(window_size=WINDOW, max_iter=1, random_state=0).fit(few)

    def score(stride: int, rows: np.ndarray) -> Callable[[], Any]:
        return partial(with_stride[stride].score_samples, rows)

    with_stride = {
        stride: copy(model).set_params(score_stride=stride).calibrate(few)
        for stride in {*STRIDES.values(), 1}
    }

    runs = {name: score(stride, X) for name, stride in STRIDES.items()}
    for name, seconds in shortest(runs, repeats).items():
        yield {"stride": name, "rows_per_second": n_rows / seconds}
    seconds = shortest({"1": score(1, few)}, 1)["1"]
    yield {"stride": "1", "rows_per_second": len(few) / seconds}


def network_table(records: pd.DataFrame) -> str:
    cells = {
        "GFLOP/s": "{gflops:.0f}",
        f"% of a product of width {WIDTH}": "{of_product:.0%}",
        "% of one of its own width": "{of_own_product:.0%}",
    }
    return markdown(texts(records, ["d_model", "run"], cells))


def layer_table(records: pd.DataFrame) -> str:
    records = records.assign(ms=1e3 * records["seconds"])
    shown = pivot(records, "d_model", "operation", "{ms:.2f}")
    share = texts(records, ["d_model"], {"% of a product": "{of_product:.0%}"})
    return markdown(shown.join(share))


def detector_table(records: pd.DataFrame) -> str:
    ours = records.iloc[0]
    records = records.assign(
        fit_times=ours["fit_seconds"] / records["fit_seconds"],
        score_times=ours["score_seconds"] / records["score_seconds"],
    )
    cells = {
        "fit s": "{fit_seconds:.2f}",
        "score s": "{score_seconds:.2f}",
        "MEMTO / it, fit": "{fit_times:.1f}",
        "MEMTO / it, score": "{score_times:.1f}",
    }
    return markdown(texts(records, ["detector"], cells))


def stride_table(records: pd.DataFrame) -> str:
    cells = {"rows a second": "{rows_per_second:,.0f}"}
    return markdown(texts(records, ["stride"], cells))


PARTS = {
    "network": network_table,
    "layer": layer_table,
    "detectors": detector_table,
    "strides": stride_table,
}


def part_of(records: pd.DataFrame, part: str) -> str:
    # Other parts have no width, which made floats of all.
    records = succeeded(records).astype({"d_model": "Int64"})
    return PARTS[part](records[records["part"] == part])


def table(records: pd.DataFrame) -> str:
    """One table for each part."""
    parts = succeeded(records)["part"].unique()
    return "\n\n".join(part_of(records, part) for part in parts)


def main(argv: Sequence[str] | None = None) -> int:
    parser = CommandLine(__file__, __doc__, seeds=False)
    parser.add_argument("--rows", type=int, default=58_000)
    parser.add_argument("--repeats", type=int, default=25)
    args = parser.parse_args(argv)
    few = min(args.repeats, 3)
    tasks: list[tuple[Record, Callable[[], Iterator[Record]]]] = [
        ({"part": part, "d_model": d}, partial(evaluate, d, args.repeats))
        for part, evaluate in (("network", arithmetic), ("layer", layer_arithmetic))
        for d in SIZES
    ]
    rows = {"rows": args.rows}
    tasks += [
        ({"part": "detectors"} | rows, partial(compare, args.rows, few)),
        ({"part": "strides"} | rows, partial(throughput, args.rows, few)),
    ]
    return run(args, tasks, table)


if __name__ == "__main__":
    sys.exit(main())
