"""adamra.h through ctypes: what compare.py needs of it. Field order and types are the header's."""
import ctypes
from ctypes import POINTER, byref, c_double, c_float, c_int, c_int32, c_uint32, c_uint64, c_void_p

import numpy as np


TYPES = [np.float32, np.float16]  # as adamra_type numbers them


class Strides(ctypes.Structure):
    _fields_ = [(name, c_uint64) for name in ("batch", "group", "head", "row")]


class Tensor(ctypes.Structure):
    _fields_ = [("data", c_void_p), ("buffer", c_void_p), ("offset", c_uint64), ("strides", Strides)]


class AttentionParams(ctypes.Structure):
    _fields_ = [("kind", ctypes.c_char_p),
                *((name, c_uint32) for name in ("batch", "groups", "queries", "keys", "key_width",
                                                "value_width", "heads")),
                ("rates", POINTER(c_uint32)),
                *((name, c_int) for name in ("shared_keys", "shared_values", "routing",
                                             "feature_map", "pooling", "router")),
                ("eps", c_float), ("bigbird", c_void_p), ("type", c_int)]


class AttentionIO(ctypes.Structure):
    _fields_ = [*((name, Tensor) for name in ("q", "k", "v", "router_logits", "router_weight",
                                              "router_bias")),
                ("key_lengths", c_void_p), ("query_lengths", c_void_p), ("y", Tensor),
                ("head", c_void_p), ("prob", c_void_p)]


class Timing(ctypes.Structure):
    _fields_ = [*((name, c_double) for name in ("device_ms", "host_ms", "operations", "bytes")),
                *((name, c_uint64) for name in ("input_bytes", "output_bytes", "extra_bytes")),
                ("submissions", c_uint32), ("streamed", c_int)]


class Adamra:
    """A context on the default device."""

    def __init__(self, path):
        self.functions = ctypes.CDLL(path)
        self.functions.adamra_error.restype = ctypes.c_char_p
        self.context = c_void_p()
        if self.functions.adamra_context_create(None, byref(self.context)):
            raise SystemExit(f"{path}: no Vulkan device")

    def call(self, name, *arguments):
        if getattr(self.functions, name)(*arguments):
            raise SystemExit(f"{name}: {self.functions.adamra_error(self.context).decode()}")

    def buffer(self, size, array=None):
        buffer = c_void_p()
        self.call("adamra_buffer_create", self.context, c_uint64(size), byref(buffer))
        if array is not None:
            self.call("adamra_buffer_write", buffer, c_uint64(0), array.ctypes.data_as(c_void_p),
                      c_uint64(size))
        return buffer


class Core:
    """The attention core over buffers on the device."""

    def __init__(self, adamra, kind, q, k, v, logits, rates):
        self.adamra, self.q = adamra, q
        plain = kind != "adamra"
        if plain:
            k, v = k[:1].copy(), v[:1].copy()
        n, d = q.shape
        params = AttentionParams(kind=kind.encode(), queries=n, keys=n, key_width=d, value_width=d,
                                 type=TYPES.index(q.dtype))
        if not plain:
            params.heads, params.rates = len(rates), (c_uint32 * len(rates))(*rates)
        self.attention, self.io = c_void_p(), AttentionIO()
        adamra.call("adamra_attention_create", adamra.context, byref(params), byref(self.attention))
        arrays = {"q": q, "k": k, "v": v} | ({} if plain else {"router_logits": logits})
        for name, array in arrays.items():
            getattr(self.io, name).buffer = adamra.buffer(array.nbytes, array)
        self.io.y.buffer = adamra.buffer(q.nbytes)

    def run(self):
        timing = Timing()
        self.adamra.call("adamra_attention_run", self.attention, byref(self.io), byref(timing))
        return timing

    def result(self):
        y = np.empty_like(self.q)
        self.adamra.call("adamra_buffer_read", c_void_p(self.io.y.buffer), c_uint64(0),
                         y.ctypes.data_as(c_void_p), c_uint64(y.nbytes))
        return y


class Encoder:
    def __init__(self, adamra, folder, tokens, labels):
        self.adamra, self.tokens, self.model = adamra, np.ascontiguousarray(tokens), c_void_p()
        self.logits = np.empty((len(tokens), labels), np.float32)
        adamra.call("adamra_model_load", adamra.context, str(folder).encode(), None,
                    byref(self.model))

    def run(self):
        timing = Timing()
        batch, n = self.tokens.shape
        self.adamra.call("adamra_model_run", self.model, self.tokens.ctypes.data_as(POINTER(c_int32)),
                         c_uint32(batch), c_uint32(n), None, self.logits.ctypes.data_as(c_void_p),
                         byref(timing))
        return timing

    def result(self):
        return self.logits
