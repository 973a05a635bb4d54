"""AdaMRA and what a user could pick instead, in PyTorch, without gradients.

Q [n, d]; K, V [H, n, d]; logits [n, H]; X [n, d_model]; rates: one per head. Formulas: README.md and
arXiv 2108.04962. `naive` follows them word by word; `best` is the fastest form that we know.
"""
import math

import torch
import torch.nn.functional as F

EPS = 1e-6


def feature_map(x):
    return F.elu(x) + 1


def pool(x, rate):
    """Means of segments of `rate` rows; the last one has the rows that are left."""
    n, width = x.shape
    whole = n // rate * rate
    if rate == 1:
        return x
    parts = [x[:whole].reshape(-1, rate, width).mean(1)]
    if whole < n:
        parts.append(x[whole:].mean(0, keepdim=True))
    return torch.cat(parts)


# ---- core ----

def state(phi_k, v):
    """S and z as means over the keys, which cancels in the division and keeps 16 bit numbers in range."""
    m = len(phi_k)
    if phi_k.dtype == torch.float32:
        return phi_k.t() @ v / m, phi_k.mean(0)
    s = torch.mm(phi_k.t(), v, out_dtype=torch.float32) / m # 16 bit products, 32 bit sums
    return s.to(v.dtype), phi_k.mean(0, dtype=torch.float32).to(v.dtype)


def naive_heads(q, pooled, logits):
    """Every head for every query, then the routed one is taken."""
    prob, head = logits.softmax(-1).max(-1)
    phi_q = feature_map(q)
    outs = []
    for k, v in pooled:
        phi_k = feature_map(k)
        outs.append((phi_q @ (phi_k.t() @ v)) / ((phi_q @ phi_k.sum(0)) + EPS)[:, None])
    y = torch.stack(outs, 1)
    index = head[:, None, None].expand(-1, 1, y.shape[-1])
    return y.gather(1, index).squeeze(1) * prob[:, None]


def sorted_heads(q, pooled, logits):
    """Queries sorted by head: one product a head, over its own queries only."""
    prob, head = logits.t().contiguous().softmax(0).max(0)
    order = head.argsort()
    counts = torch.bincount(head, minlength=len(pooled)).tolist()
    phi_q = feature_map(q.index_select(0, order))
    rows, norms = torch.empty_like(phi_q), phi_q.new_empty(len(q))
    first = 0
    for (k, v), count in zip(pooled, counts):
        if count:
            end, (s, z) = first + count, state(feature_map(k), v)
            torch.mm(phi_q[first:end], s, out=rows[first:end])
            torch.mv(phi_q[first:end], z, out=norms[first:end])
            norms[first:end].add_(EPS / len(k))
            first = end
    rows.mul_((prob.index_select(0, order) / norms)[:, None])
    return torch.empty_like(q).index_copy_(0, order, rows)


def joined_heads(q, pooled, logits):
    """All heads in one product, then the routed one is taken: no sorting, for GPUs."""
    prob, head = logits.softmax(-1).max(-1)
    states, norms = zip(*[state(feature_map(k), v) for k, v in pooled])
    eps = torch.tensor([EPS / len(k) for k, _ in pooled], device=q.device)
    phi_q = feature_map(q)
    rows = (phi_q @ torch.cat(states, 1)).view(len(q), len(pooled), -1)
    den = (phi_q @ torch.stack(norms, 1) + eps).gather(1, head[:, None])
    index = head[:, None, None].expand(-1, 1, rows.shape[-1])
    return (rows.gather(1, index).squeeze(1) * (prob[:, None] / den)).to(q.dtype)


def core_joined(q, k, v, logits, rates):
    return joined_heads(q, [(pool(k[h], c), pool(v[h], c)) for h, c in enumerate(rates)], logits)


def core_naive(q, k, v, logits, rates):
    return naive_heads(q, [(pool(k[h], c), pool(v[h], c)) for h, c in enumerate(rates)], logits)


def core_best(q, k, v, logits, rates):
    return sorted_heads(q, [(pool(k[h], c), pool(v[h], c)) for h, c in enumerate(rates)], logits)


def core_softmax(q, k, v, logits=None, rates=None, chunk=512):
    """Exact softmax attention over the first head's keys, without an n x n matrix."""
    if q.is_cuda: # one kernel there
        return F.scaled_dot_product_attention(q[None, None], k[None, :1], v[None, :1])[0, 0]
    scale, keys = 1 / math.sqrt(q.shape[-1]), k[0].t()
    return torch.cat([(rows * scale @ keys).softmax(-1) @ v[0] for rows in q.split(chunk)])


# ---- layer ----

def layer_naive(x, weights, rates):
    """Projects all rows for every head, then pools."""
    q = x @ weights["q"]
    pooled = [(pool(x @ weights["k"][h], c), pool(x @ weights["v"][h], c))
              for h, c in enumerate(rates)]
    return naive_heads(q, pooled, q @ weights["router"]) @ weights["out"]


def join_weights(weights, rates):
    """One product an input: the columns of all that is projected from rows of one rate."""
    joined = {1: [weights["q"]]}
    for h, c in enumerate(rates):
        joined.setdefault(c, []).extend([weights["k"][h], weights["v"][h]])
    return {c: torch.cat(columns, 1).contiguous() for c, columns in joined.items()}


def layer_best(x, weights, rates):
    """Pools before it projects, coarse rows from finer ones; queries sorted by head."""
    if "joined" not in weights:
        weights["joined"] = join_weights(weights, rates)
    width, n = weights["q"].shape[1], len(x)
    pooled, parts = {1: x}, {}
    for c in sorted(weights["joined"]):
        finer = max(b for b in pooled if c % b == 0)
        if c > 1: # means of means need whole segments
            pooled[c] = pool(pooled[finer], c // finer) if n % c == 0 else pool(x, c)
        parts[c] = list((pooled[c] @ weights["joined"][c]).split(width, 1))
    q = parts[1].pop(0).contiguous()
    heads = [(parts[c].pop(0), parts[c].pop(0)) for c in rates]
    return sorted_heads(q, heads, q @ weights["router"]) @ weights["out"]


CORE = {"naive": core_naive, "best": core_best, "joined": core_joined, "softmax": core_softmax}
LAYER = {"naive": layer_naive, "best": layer_best}
