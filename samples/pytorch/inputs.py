"""The same random inputs in every process: numpy's generator, from a seed."""
import numpy as np


def stored(work, array):
    return array.astype(np.float16) if work["dtype"] == "f16" else array


def core(work):
    random = np.random.default_rng(work["seed"])
    n, d, heads = work["n"], work["d"], len(work["rates"])
    draw = lambda *shape: stored(work, random.standard_normal(shape, dtype=np.float32))
    return draw(n, d), draw(heads, n, d), draw(heads, n, d), draw(n, heads)


def layer(work):
    random = np.random.default_rng(work["seed"])
    d, width, heads = work["d"], work["d_model"], len(work["rates"])
    normal = lambda *shape: random.standard_normal(shape, dtype=np.float32)
    draw = lambda *shape: stored(work, normal(*shape) / np.float32(shape[-2] ** 0.5))
    x = stored(work, normal(work["n"], width))
    return x, {"q": draw(width, d), "k": draw(heads, width, d), "v": draw(heads, width, d),
               "router": draw(d, heads), "out": draw(d, width)}


def encoder(work):
    """Bytes of readable text, so that the model does what it was made for."""
    random = np.random.default_rng(work["seed"])
    letters = np.frombuffer(b"the quick brown fox jumps over a lazy dog, ", np.uint8)
    return random.choice(letters, (work["batch"], work["n"])).astype(np.int32)
