"""Executable definition of AdaMRA attention and of the encoder built on it (PyTorch, CPU).

It says what is computed, not how to compute it fast: every step is written out, in the order of
the specification, and runs in the dtype of its inputs (float64 for goldens). Autograd gives the
gradients that a backward pass has to match.

Needs Debian's python3-torch and python3-numpy; run with /usr/bin/python3.
"""

import json
import struct

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

# ----------------------------------------------------------------------------- attention


def feature_map(x, kind):
    """phi(x), elementwise; never negative."""
    if kind == "elu1":
        return F.elu(x) + 1
    if kind == "relu":
        return F.relu(x)
    raise ValueError(f"unknown feature map {kind!r}")


def pool_segments(x, rate, length, kind="mean"):
    """Pools the first `length` rows of x [m, d] over segments of `rate` rows -> [ceil(length/rate), d].

    The last segment pools the rows that it has.
    """
    segments = [x[start : min(start + rate, length)] for start in range(0, length, rate)]
    if not segments:
        return x.new_zeros(0, x.shape[1])
    if kind == "mean":
        return torch.stack([s.mean(dim=0) for s in segments])
    if kind == "max":
        return torch.stack([s.max(dim=0).values for s in segments])
    raise ValueError(f"unknown pooling {kind!r}")


def adamra_attention(q, k, v, rates, router_logits=None, key_lengths=None, query_lengths=None,
                     feature="elu1", pooling="mean", routing="top1", eps=1e-6):
    """AdaMRA attention.

    q [B, G, n, dk]           queries ([B, G, H, n, dk] when routing is "none")
    k [B, G, H or 1, m, dk]   keys; 1 = one projection shared by all heads
    v [B, G, H or 1, m, dv]   values
    rates                     H compression rates c_h >= 1
    router_logits [B, G, n, H]
    key_lengths, query_lengths: B ints, default m and n
    returns y [B, G, n, dv] ([B, G, H, n, dv] for "none"), chosen head [B, G, n], its probability
    """
    batch, groups = q.shape[:2]
    heads, n, m, dv = len(rates), q.shape[-2], k.shape[3], v.shape[4]
    per_head = q.new_zeros(batch, groups, heads, n, dv)
    for b in range(batch):
        length = m if key_lengths is None else int(key_lengths[b])
        for g in range(groups):
            for h, rate in enumerate(rates):
                kh = k[b, g, h if k.shape[2] > 1 else 0]
                vh = v[b, g, h if v.shape[2] > 1 else 0]
                phi_k = feature_map(pool_segments(kh, rate, length, pooling), feature)
                pooled_v = pool_segments(vh, rate, length, pooling)
                state = phi_k.T @ pooled_v          # S_h [dk, dv]
                norm = phi_k.sum(dim=0)             # z_h [dk]
                phi_q = feature_map(q[b, g, h] if routing == "none" else q[b, g], feature)
                per_head[b, g, h] = (phi_q @ state) / ((phi_q @ norm)[:, None] + eps)

    head = prob = None
    if routing == "none":
        y = per_head
    else:
        p = router_logits.softmax(dim=-1)           # [B, G, n, H]
        prob, head = p.max(dim=-1)                  # ties go to the lowest head
        if routing == "top1":
            index = head[:, :, None, :, None].expand(batch, groups, 1, n, dv)
            y = prob[..., None] * per_head.gather(2, index).squeeze(2)
        elif routing == "soft":
            y = torch.einsum("bgnh,bghnd->bgnd", p, per_head)
        else:
            raise ValueError(f"unknown routing {routing!r}")
    if query_lengths is not None:
        for b in range(batch):
            y[b, ..., int(query_lengths[b]):, :] = 0
    return y, head, prob


def adamra_attention_fast(q, k, v, rates, router_logits, key_lengths=None, feature="elu1", eps=1e-6):
    """The same for mean pooling and top-1 routing, vectorised (used to train; checked against the above)."""
    batch, groups, n, dk = q.shape
    m, dv = v.shape[3], v.shape[4]
    phi_q = feature_map(q, feature)
    p = router_logits.softmax(dim=-1)
    prob, head = p.max(dim=-1)
    y = 0
    steps = torch.arange(m)
    lengths = torch.full((batch,), m) if key_lengths is None else key_lengths
    valid = (steps[None] < lengths[:, None]).to(q.dtype)                        # [B, m]
    for h, rate in enumerate(rates):
        pad = -m % rate
        count = F.pad(valid, (0, pad)).view(batch, -1, rate).sum(-1)            # [B, segments]
        live = (count > 0).to(q.dtype)[:, None, :, None]
        weight = (valid[:, None, :, None])

        def pooled(x):
            x = F.pad(x * weight, (0, 0, 0, pad)).view(batch, groups, -1, rate, x.shape[-1]).sum(3)
            return x / count.clamp(min=1)[:, None, :, None]

        phi_k = feature_map(pooled(k[:, :, h if k.shape[2] > 1 else 0]), feature) * live
        pv = pooled(v[:, :, h if v.shape[2] > 1 else 0]) * live
        state = phi_k.transpose(-1, -2) @ pv
        norm = phi_k.sum(dim=-2)
        out = (phi_q @ state) / ((phi_q @ norm[..., None]) + eps)
        y = y + (head == h).to(q.dtype)[..., None] * out
    return prob[..., None] * y, head, prob


def masked_softmax_attention(q, k, v, allowed):
    """softmax over the allowed keys; a query with none gives zeros. allowed broadcasts to [B, G, n, m]."""
    scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    p = scores.masked_fill(~allowed, float("-inf")).softmax(dim=-1)
    return torch.nan_to_num(p, nan=0.0) @ v


def valid_keys(batch, m, key_lengths):
    """[B, 1, 1, m], True where a key is not padding."""
    lengths = torch.full((batch,), m) if key_lengths is None else torch.as_tensor(key_lengths)
    return (torch.arange(m)[None] < lengths[:, None])[:, None, None, :]


def softmax_attention(q, k, v, key_lengths=None):
    """Vanilla attention. q [B, G, n, dk], k [B, G, m, dk], v [B, G, m, dv]."""
    return masked_softmax_attention(q, k, v, valid_keys(q.shape[0], k.shape[2], key_lengths))


def linear_attention(q, k, v, key_lengths=None, feature="elu1", eps=1e-6):
    """One head at rate 1, no router. Shapes as for softmax_attention."""
    return adamra_attention(q[:, :, None], k[:, :, None], v[:, :, None], [1], None, key_lengths, None,
                            feature, "mean", "none", eps)[0][:, :, 0]


def hash32(x):
    """PCG's output permutation (O'Neill 2014) as a hash of a 32 bit integer."""
    state = (x * 747796405 + 2891336453) & 0xFFFFFFFF
    word = (((state >> ((state >> 28) + 4)) ^ state) * 277803737) & 0xFFFFFFFF
    return (word >> 22) ^ word


def bigbird_blocks(i, blocks, global_blocks=2, window=3, random_blocks=3, seed=0):
    """Key blocks that query block i of `blocks` attends to (the specification, Baselines), sorted."""
    if i < global_blocks:
        return list(range(blocks))
    half = window // 2
    chosen = set(range(min(global_blocks, blocks))) | set(range(max(0, i - half), min(blocks, i + half + 1)))
    goal = min(blocks, len(chosen) + random_blocks)
    attempt = 0
    while len(chosen) < goal:
        chosen.add(hash32(hash32(hash32(seed) ^ i) ^ attempt) % blocks)
        attempt += 1
    return sorted(chosen)


def bigbird_attention(q, k, v, key_lengths=None, block=64, global_blocks=2, window=3, random_blocks=3, seed=0):
    """Block-sparse softmax self-attention (n = m). Shapes as for softmax_attention."""
    n = q.shape[2]
    blocks = -(-n // block)
    allowed = torch.zeros(blocks * block, blocks * block, dtype=torch.bool)
    for i in range(blocks):
        for j in bigbird_blocks(i, blocks, global_blocks, window, random_blocks, seed):
            allowed[i * block:(i + 1) * block, j * block:(j + 1) * block] = True
    return masked_softmax_attention(q, k, v, allowed[:n, :n] & valid_keys(q.shape[0], n, key_lengths))


# ----------------------------------------------------------------------------- encoder


class Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.kind = config["attention"]
        self.groups, self.head_dim = config["num_groups"], config["head_dim"]
        self.rates = config.get("compression_rates", [1])
        self.feature = config.get("feature_map", "elu1")
        self.routing, self.pooling = config.get("routing", "top1"), config.get("pooling", "mean")
        self.bigbird = config.get("bigbird", {})
        d, width = config["hidden_size"], self.groups * self.head_dim
        heads = len(self.rates) if self.kind == "adamra" else 1
        self.query = nn.Linear(d, width)
        self.key = nn.Linear(d, heads * width)
        self.value = nn.Linear(d, heads * width)
        self.output = nn.Linear(width, d)
        if self.kind == "adamra":
            self.router = nn.Linear(self.head_dim, self.groups * heads)

    def forward(self, x, lengths, slow=False):
        batch, n, _ = x.shape
        g, dk = self.groups, self.head_dim
        q = self.query(x).view(batch, n, g, dk).transpose(1, 2)
        k = self.key(x).view(batch, n, g, -1, dk).permute(0, 2, 3, 1, 4)
        v = self.value(x).view(batch, n, g, -1, dk).permute(0, 2, 3, 1, 4)
        if self.kind == "adamra":
            heads = len(self.rates)
            w, b = self.router.weight.view(g, heads, dk), self.router.bias.view(g, 1, heads)
            logits = q @ w.transpose(-1, -2) + b
            if slow or (self.routing, self.pooling) != ("top1", "mean"):
                y, head, prob = adamra_attention(q, k, v, self.rates, logits, lengths, None,
                                                 self.feature, self.pooling, self.routing)
            else:
                y, head, prob = adamra_attention_fast(q, k, v, self.rates, logits, lengths, self.feature)
            self.routed = head
            self.router_probs = logits.softmax(-1)
        elif self.kind == "linear":
            y = linear_attention(q, k[:, :, 0], v[:, :, 0], lengths, self.feature)
        elif self.kind == "bigbird":
            y = bigbird_attention(q, k[:, :, 0], v[:, :, 0], lengths, **self.bigbird)
        else:
            y = softmax_attention(q, k[:, :, 0], v[:, :, 0], lengths)
        return self.output(y.transpose(1, 2).reshape(batch, n, g * dk))


class Layer(nn.Module):
    def __init__(self, config):
        super().__init__()
        d, eps = config["hidden_size"], config["layer_norm_eps"]
        self.attention_norm = nn.LayerNorm(d, eps=eps)
        self.attention = Attention(config)
        self.ffn_norm = nn.LayerNorm(d, eps=eps)
        self.ffn_in = nn.Linear(d, config["intermediate_size"])
        self.ffn_out = nn.Linear(config["intermediate_size"], d)

    def forward(self, x, lengths, slow=False):
        x = x + self.attention(self.attention_norm(x), lengths, slow)
        return x + self.ffn_out(F.gelu(self.ffn_in(self.ffn_norm(x))))


class Encoder(nn.Module):
    """Pre-norm encoder classifier; parameter names are those of the model format."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        d = config["hidden_size"]
        self.token_embedding = nn.Embedding(config["vocab_size"], d)
        self.position_embedding = nn.Embedding(config["max_position_embeddings"], d)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config["num_hidden_layers"]))
        self.norm = nn.LayerNorm(d, eps=config["layer_norm_eps"])
        self.classifier_in = nn.Linear(d, config["classifier_size"])
        self.classifier_out = nn.Linear(config["classifier_size"], config["num_labels"])
        nn.init.normal_(self.token_embedding.weight, std=0.05)
        nn.init.normal_(self.position_embedding.weight, std=0.02)

    def forward(self, tokens, lengths, slow=False, first_position=0):
        """tokens [B, n] int64, lengths [B] int64 -> logits [B, num_labels].

        first_position other than 0 is for training only: it reaches positions that short texts never do.
        """
        n = tokens.shape[1]
        x = self.token_embedding(tokens) + self.position_embedding(first_position + torch.arange(n))
        for layer in self.layers:
            x = layer(x, lengths, slow)
        x = self.norm(x)
        valid = (torch.arange(n)[None] < lengths[:, None]).to(x.dtype)[..., None]
        x = (x * valid).sum(1) / valid.sum(1).clamp(min=1)
        return self.classifier_out(F.gelu(self.classifier_in(x)))


# ----------------------------------------------------------------------------- safetensors

DTYPES = {"float64": "F64", "float32": "F32", "float16": "F16", "int64": "I64", "int32": "I32", "uint8": "U8"}


def write_safetensors(path, tensors, metadata=None):
    header, blobs, offset = {}, [], 0
    if metadata:
        header["__metadata__"] = {key: str(value) for key, value in metadata.items()}
    for name, array in tensors.items():
        array = np.asarray(array)
        data = array.tobytes()                     # C order
        header[name] = {"dtype": DTYPES[array.dtype.name], "shape": list(array.shape),
                        "data_offsets": [offset, offset + len(data)]}
        blobs.append(data)
        offset += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def read_safetensors(path):
    names = {code: np.dtype(name) for name, code in DTYPES.items()}
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = file.read()
    metadata = header.pop("__metadata__", {})
    return {name: np.frombuffer(data[e["data_offsets"][0]:e["data_offsets"][1]], names[e["dtype"]]).reshape(e["shape"])
            for name, e in header.items()}, metadata
