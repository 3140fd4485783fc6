"""The networks as their papers write them: loops, one number at a time.

MEMTO is arXiv 2312.02530, to which the equations belong where no other paper is named;
the Anomaly Transformer is arXiv 2110.02642.

Slow and obvious on purpose, NumPy only, always in float64: the tests hold the
package against it, and against `naive_scores.py`, which goes on from deviations.
Weights are arrays by name, `weights_of` reads them from a torch module and `part` takes
those of one layer. NaN is a missing value.

L steps of a window, F features, D = d_model, M memory items, T tokens.
"""

import math

import numpy as np


def weights_of(module):
    """Copy what a module learned, as float64 arrays by name."""
    return {
        name: tensor.detach().cpu().numpy().astype(np.float64)
        for name, tensor in module.state_dict().items()
    }


def part(weights, prefix):
    """Take the weights of one layer, by their names within it."""
    return {
        name.removeprefix(prefix + "."): array
        for name, array in weights.items()
        if name.startswith(prefix + ".")
    }


def of(weights, name):
    return weights[f"{name}.weight"], weights[f"{name}.bias"]


def softmax(logits):
    largest = max(logits)
    powers = [math.exp(value - largest) for value in logits]
    return np.array([power / sum(powers) for power in powers])


def linear(x, weight, bias=None):
    """Map one vector."""
    return np.array(
        [
            sum(weight[i, j] * x[j] for j in range(len(x)))
            + (0.0 if bias is None else bias[i])
            for i in range(len(weight))
        ]
    )


def gelu(x):
    """Exact GELU of one vector: x times the normal distribution function."""
    return np.array([v * 0.5 * (1 + math.erf(v / math.sqrt(2))) for v in x])


def layer_norm(x, weight, bias):
    """Normalise one vector (Ba et al. 2016, eq. 4)."""
    mean = sum(x) / len(x)
    variance = sum((v - mean) ** 2 for v in x) / len(x)
    return weight * (x - mean) / math.sqrt(variance + 1e-5) + bias


def conv_kernel(projection):
    """Turn a map (D, 3 F) of [step before, step, step after] into (D, F, 3)."""
    n_features = projection.shape[1] // 3
    kernel = np.empty((len(projection), n_features, 3))
    for k in range(3):
        for f in range(n_features):
            kernel[:, f, k] = projection[:, k * n_features + f]
    return kernel


def token_embedding(x, kernel):
    """Circular convolution over three steps: (L, F), (D, F, 3) -> (L, D)."""
    n_steps, n_features = x.shape
    tokens = np.zeros((n_steps, len(kernel)))
    for t in range(n_steps):
        for d in range(len(kernel)):
            for f in range(n_features):
                for k in range(3):
                    tokens[t, d] += kernel[d, f, k] * x[(t + k - 1) % n_steps, f]
    return tokens


def positions(n_steps, d_model):
    """Position code of Vaswani et al. (2017), section 3.5: (L, D)."""
    code = np.zeros((n_steps, d_model))
    for t in range(n_steps):
        for d in range(d_model):
            angle = t / 10000 ** ((d - d % 2) / d_model)
            code[t, d] = math.cos(angle) if d % 2 else math.sin(angle)
    return code


def queries_keys_values(x, weights):
    mapped = np.array([linear(v, *of(weights, "qkv")) for v in x])
    return np.split(mapped, 3, axis=1)


def attention_weights(x, weights, n_heads):
    """How much each step takes from each other one: (H, L, L)."""
    n_steps, d_model = x.shape
    size = d_model // n_heads
    queries, keys, _ = queries_keys_values(x, weights)
    attention = np.zeros((n_heads, n_steps, n_steps))
    for head in range(n_heads):
        mine = slice(head * size, (head + 1) * size)
        for t in range(n_steps):
            logits = [
                sum(queries[t, mine] * keys[s, mine]) / math.sqrt(size)
                for s in range(n_steps)
            ]
            attention[head, t] = softmax(logits)
    return attention


def self_attention(x, weights, n_heads):
    """Attend within one window (Vaswani et al. 2017, section 3.2): (L, D)."""
    n_steps, d_model = x.shape
    size = d_model // n_heads
    _, _, values = queries_keys_values(x, weights)
    attention = attention_weights(x, weights, n_heads)
    mixed = np.zeros((n_steps, d_model))
    for head in range(n_heads):
        mine = slice(head * size, (head + 1) * size)
        for t in range(n_steps):
            for s in range(n_steps):
                mixed[t, mine] += attention[head, t, s] * values[s, mine]
    return np.array([linear(v, *of(weights, "out")) for v in mixed])


def encoder_layer(x, weights, n_heads):
    """Attention and feed-forward, each added to its input, then the norm."""
    attended = self_attention(x, part(weights, "attention"), n_heads)
    outputs = []
    for token, mixed in zip(x, attended, strict=True):
        middle = layer_norm(token + mixed, *of(weights, "norm1"))
        hidden = gelu(linear(middle, *of(weights, "linear1")))
        fed = linear(hidden, *of(weights, "linear2"))
        outputs.append(layer_norm(middle + fed, *of(weights, "norm2")))
    return np.array(outputs)


def encoder(x, weights, n_heads):
    """Encode one window (L, F) as queries (L, D)."""
    kernel = conv_kernel(weights["embedding.projection.weight"])
    x = token_embedding(x, kernel) + positions(len(x), len(kernel))
    n_layers = len({name.split(".")[1] for name in weights if "layers." in name})
    for i in range(n_layers):
        x = encoder_layer(x, part(weights, f"layers.{i}"), n_heads)
    return np.array([layer_norm(v, *of(weights, "norm")) for v in x])


def memory_content(items, queries, temperature):
    """What each item would become without its gate: (M, D), (T, D) -> (M, D)."""
    content = np.zeros(items.shape)
    for i, item in enumerate(items):
        # Eq. 1: attention of one item over all tokens.
        attention = softmax([sum(item * query) / temperature for query in queries])
        for weight, query in zip(attention, queries, strict=True):
            content[i] += weight * query
    return content


def memory_update(items, queries, gate_item, gate_content, temperature):
    """Move the items (M, D) towards the queries (T, D)."""
    content = memory_content(items, queries, temperature)
    updated = np.zeros(items.shape)
    for i, item in enumerate(items):
        # Eq. 2: gate psi = sigmoid(U m + W a), one for each coordinate.
        logits = linear(item, gate_item) + linear(content[i], gate_content)
        gate = np.array([1 / (1 + math.exp(-v)) for v in logits])
        # Eq. 3.
        updated[i] = (1 - gate) * item + gate * content[i]
    return updated


def memory_read(queries, items, temperature):
    """Attention (T, M) over the items and the retrieved (T, D)."""
    attention = np.zeros((len(queries), len(items)))
    retrieved = np.zeros(queries.shape)
    for t, query in enumerate(queries):
        # Eq. 4.
        attention[t] = softmax([sum(query * item) / temperature for item in items])
        # Eq. 5.
        for weight, item in zip(attention[t], items, strict=True):
            retrieved[t] += weight * item
    return attention, retrieved


def decoder(x, weights):
    """Two fully connected layers: one vector (2 D,) -> (F,)."""
    return linear(gelu(linear(x, *of(weights, "hidden"))), *of(weights, "out"))


def entropy(attention):
    """Entropy of one row of attention, where 0 log 0 is 0."""
    return -sum(w * math.log(w) for w in attention if w > 0)


def loss(windows, reconstruction, attention, entropy_weight):
    """Reconstruction error plus weighted entropy; the paper sums, we average."""
    # Eq. 6: over all entries.
    errors = input_deviation(windows, reconstruction).ravel()
    # Eq. 7: over all tokens.
    entropies = [entropy(row) for row in attention]
    # Eq. 8.
    return sum(errors) / len(errors) + entropy_weight * sum(entropies) / len(entropies)


def latent_deviation(queries, items):
    """Eq. 9: squared distance of each query (T, D) to the item nearest to it."""
    return np.array([min(sum((q - m) ** 2) for m in items) for q in queries])


def input_deviation(windows, reconstruction):
    """Eq. 10, for each feature on its own."""
    deviation = np.zeros(windows.shape)
    for index in np.ndindex(windows.shape):
        deviation[index] = (windows[index] - reconstruction[index]) ** 2
    return deviation


def memto(windows, weights, *, n_heads, temperature, update=False):
    """Run windows (B, L, F) through the whole network, all steps by name."""
    queries = [encoder(x, part(weights, "encoder"), n_heads) for x in windows]
    tokens = np.concatenate(queries)
    memory = part(weights, "memory")
    items = memory["items"]
    if update:
        gates = memory["gate_item.weight"], memory["gate_content.weight"]
        items = memory_update(items, tokens, *gates, temperature)
    attention, retrieved = memory_read(tokens, items, temperature)
    decoded = [
        decoder(np.concatenate(both), part(weights, "decoder"))
        for both in zip(tokens, retrieved, strict=True)
    ]
    return {
        "queries": np.array(queries),
        "items": items,
        "attention": attention,
        "reconstruction": np.reshape(decoded, windows.shape),
        "latent": latent_deviation(tokens, items).reshape(windows.shape[:2]),
    }


def prior_association(x, weights):
    """Gaussian of the distance in time (Anomaly Transformer, eq. 2): (H, L, L)."""
    n_steps = len(x)
    spread = np.array([linear(v, *of(weights, "spread")) for v in x])
    prior = np.zeros((spread.shape[1], n_steps, n_steps))
    for head in range(spread.shape[1]):
        for i in range(n_steps):
            # As in the authors' code; expm1 and not 3 ** x - 1, which cancels.
            exponent = 1 / (1 + math.exp(-5 * spread[i, head])) + 1e-5
            sigma = math.expm1(exponent * math.log(3))
            row = [
                math.exp(-((i - j) ** 2) / (2 * sigma**2))
                / (math.sqrt(2 * math.pi) * sigma)
                for j in range(n_steps)
            ]
            prior[head, i] = [value / sum(row) for value in row]
    return prior


def kl_divergence(p, q):
    """Divergence of one row from another, with the authors' 1e-4."""
    return sum(
        a * (math.log(a + 1e-4) - math.log(b + 1e-4)) for a, b in zip(p, q, strict=True)
    )


def association_discrepancy(prior, series):
    """Anomaly Transformer, eq. 3, of one layer: (H, L, L) twice -> (L,)."""
    n_heads, n_steps, _ = prior.shape
    discrepancy = np.zeros(n_steps)
    for i in range(n_steps):
        for head in range(n_heads):
            p, s = prior[head, i], series[head, i]
            discrepancy[i] += (kl_divergence(p, s) + kl_divergence(s, p)) / n_heads
    return discrepancy


def anomaly_transformer(windows, weights, *, n_heads):
    """Run windows (B, L, F) through the whole network.

    The discrepancies are (B, n_layers, L).
    """
    of_encoder = part(weights, "encoder")
    kernel = conv_kernel(of_encoder["embedding.projection.weight"])
    n_layers = len({name.split(".")[1] for name in of_encoder if "layers." in name})
    discrepancies, reconstruction = [], []
    for window in windows:
        x = token_embedding(window, kernel) + positions(len(window), len(kernel))
        discrepancies.append([])
        for i in range(n_layers):
            of_layer = part(of_encoder, f"layers.{i}")
            of_attention = part(of_layer, "attention")
            discrepancies[-1].append(
                association_discrepancy(
                    prior_association(x, of_attention),
                    attention_weights(x, of_attention, n_heads),
                )
            )
            x = encoder_layer(x, of_layer, n_heads)
        tokens = encoder(window, of_encoder, n_heads)
        reconstruction.append([linear(v, *of(weights, "decoder")) for v in tokens])
    return {
        "discrepancies": np.array(discrepancies),
        "reconstruction": np.array(reconstruction),
    }


def mean(values):
    """Mean over what is not missing."""
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def windows(series, window_size, stride):
    """List (start, length) of the windows of all series, those of each in order."""
    found = []
    for start, stop in series:
        length = min(window_size, stop - start)
        first = start
        while first + length < stop:
            found.append((first, length))
            first += stride
        found.append((stop - length, length))
    return found


def merge_overlaps(starts, values):
    """Average of what all windows (B, L, C) say of each row that is in one."""
    said = {}
    for start, window in zip(starts, values, strict=True):
        for step, value in enumerate(window):
            said.setdefault(start + step, []).append(value)
    return {row: sum(said[row]) / len(said[row]) for row in sorted(said)}


def row_outputs(network, X, series, window_size, stride):
    """What the network says of each row, averaged over its windows: (n, F), (n,).

    The network maps one window (L, F) to its reconstruction and latent deviations (L,).
    """
    places = windows(series, window_size, stride)
    said = [np.column_stack(network(X[start : start + n])) for start, n in places]
    merged = merge_overlaps([start for start, _ in places], said)
    outputs = np.array([merged[row] for row in range(len(X))])
    return outputs[:, :-1], outputs[:, -1]


def outputs_of_rows(network, X, series, window_size, lookahead):
    """What the network says of each row, by the window that ends so many rows later.

    Or at the end of the series; before its beginning stands its first row.
    """
    outputs = []
    for start, stop in series:
        for row in range(start, stop):
            last = min(row + lookahead, stop - 1)
            steps = range(last - window_size + 1, last + 1)
            window = X[[max(step, start) for step in steps]]
            outputs.append(np.column_stack(network(window))[list(steps).index(row)])
    return np.array(outputs)[:, :-1], np.array(outputs)[:, -1]


def deviations(X, reconstruction, latent):
    """Deviations of each row; one without any value has no latent one either."""
    squares = input_deviation(X, reconstruction)
    known = [not math.isnan(mean(row)) for row in squares]
    return squares, np.where(known, latent, math.nan)
