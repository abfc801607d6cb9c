#!/usr/bin/env python3
"""Writes the seed corpus of the fuzzers: tiny valid files of every format, and damaged ones.

Needs NumPy and Pillow. The files are committed; run this again only to add a format.
"""
import io
import json
import pathlib
import pickle
import struct

import numpy as np
from PIL import Image

ROOT = pathlib.Path(__file__).parent / "corpus"


def put(target, name, data):
    folder = ROOT / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)
    if len(data) > 8:
        (folder / (name + ".cut")).write_bytes(data[: len(data) * 2 // 3])


def ramp(*shape):
    return (np.arange(int(np.prod(shape))) * 7 % 251).astype(np.uint8).reshape(shape)


def image(mode, kind, size=(6, 5), **options):
    channels = {"L": 1, "P": 1, "1": 1, "LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4}.get(mode, 1)
    if mode == "I;16":
        picture = Image.fromarray((ramp(size[1], size[0]).astype(np.uint16) * 257))
    elif mode in ("P", "1"):
        picture = Image.fromarray(ramp(size[1], size[0]), "L").convert(mode)
    else:
        pixels = ramp(size[1], size[0], channels)
        picture = Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels, mode)
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def npy(array):
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def npz(compressed, **arrays):
    out = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(out, **arrays)
    return out.getvalue()


def safetensors(header, data=b""):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


for mode in ("L", "RGB", "RGBA", "LA", "P", "1", "I;16"):
    put("image", f"{mode.replace(';', '')}.png".lower(), image(mode, "PNG"))
for mode in ("L", "RGB", "CMYK"):
    put("image", f"{mode}.jpg".lower(), image(mode, "JPEG"))
put("image", "progressive.jpg", image("RGB", "JPEG", (17, 9), progressive=True))
put("image", "neither.bin", b"GIF89a" + bytes(10))

records = b"".join(bytes([label]) + bytes(3072) for label in (3, 9))
put("cifar", "two.bin", records)
put("cifar", "label.bin", bytes([10]) + bytes(3072))

put("idx", "images", struct.pack(">IIII", 0x803, 2, 3, 4) + ramp(24).tobytes())
put("idx", "labels", struct.pack(">II", 0x801, 3) + bytes([5, 0, 1]))
put("idx", "huge", struct.pack(">IIII", 0x803, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF) + bytes(8))

batch = {b"data": ramp(1, 3072), b"labels": [7], b"batch_label": b"one"}
for protocol in (2, 3, 4):
    put("cifar_pickle", f"batch{protocol}.pkl", pickle.dumps(batch, protocol))
value = {"a": [1, 2.5, None, True, (1, 2, 3, 4)], b"b": {"nested": "text", 5: 2**40}, "c": set([1])}
for protocol in range(6):
    put("pickle", f"value{protocol}.pkl", pickle.dumps(value, protocol))
put("pickle", "array.pkl", pickle.dumps(ramp(2, 3), 2))
put("pickle", "deep.pkl", b"\x80\x02" + b"(" * 500 + b"t" * 500 + b".")

for kind in ("u1", "i2", "<i4", "<i8", "<f4", "<f8", "?"):
    put("npy", "vector_" + kind.strip("<").replace("?", "bool") + ".npy", npy(np.arange(5).astype(kind)))
put("npy", "fortran.npy", npy(np.asfortranarray(np.arange(6, dtype=np.int32).reshape(2, 3))))
put("npy", "big_endian.npy", npy(np.arange(4, dtype=">i4")))

sets = dict(x_train=ramp(4, 3, 3, 3), y_train=np.arange(4), x_test=ramp(2, 3, 3, 3), y_test=np.arange(2))
put("npz", "stored.npz", npz(False, **sets))
put("npz", "deflated.npz", npz(True, **sets))

put("safetensors", "two.safetensors",
    safetensors({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
                 "b": {"dtype": "U8", "shape": [3], "data_offsets": [8, 11]},
                 "__metadata__": {"k": "v"}}, bytes(11)))
put("safetensors", "overlap.safetensors",
    safetensors({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
                 "b": {"dtype": "U8", "shape": [3], "data_offsets": [4, 7]}}, bytes(11)))
put("safetensors", "huge.safetensors",
    safetensors({"a": {"dtype": "F32", "shape": [2**62, 8], "data_offsets": [0, 8]}}, bytes(8)))
put("safetensors", "long_header.safetensors", struct.pack("<Q", 2**63) + b"{}")
