#!/usr/bin/env python3
"""Writes the seed corpus of the fuzzers: tiny valid files of every format, and damaged ones; and
for images, what Pillow reads in them, as PNG files under tests/data/decoded.

Needs NumPy and Pillow (9.4). The files are committed; run this again only to add a format.
"""
import gzip
import io
import json
import pathlib
import pickle
import struct
import sys
import tarfile
import types
import zipfile
import zlib

import numpy as np
from PIL import Image, ImageOps

ROOT = pathlib.Path(__file__).parent / "corpus"
DECODED = pathlib.Path(__file__).parent.parent / "data" / "decoded"


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


def put_image(name, data, answer=None):
    """The file, and what it holds: Pillow's answer, upright, unless another is given."""
    put("image", name, data)
    if answer is None:
        answer = Image.open(io.BytesIO(data))
        answer.load()  # before EXIF is looked for, which moves the file's place
        answer = ImageOps.exif_transpose(answer)
        answer = answer.convert("L" if answer.mode in ("L", "LA", "1") else "RGB")
    DECODED.mkdir(parents=True, exist_ok=True)
    answer.save(DECODED / (name + ".png"))


def deep(top, channels=1):
    """Samples of 16 bits up to `top`, big-endian, [5, 6, channels]."""
    return (np.arange(30 * channels) * 977 % (top + 1)).astype(">u2").reshape(5, 6, channels)


def png_file(width, height, bits, kind, interlaced, data):
    def chunk(name, content):
        return (struct.pack(">I", len(content)) + name + content
                + struct.pack(">I", zlib.crc32(name + content)))
    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, interlaced)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data))
            + chunk(b"IEND", b""))


def rows_of(samples):
    return b"".join(b"\0" + row.tobytes() for row in samples)


def deep_png(samples, kind):
    """16 bits a sample, which Pillow writes for one channel alone."""
    return png_file(6, 5, 16, kind, 0, rows_of(samples))


def interlaced_png(samples, bits, kind):
    """Adam7, which Pillow does not write."""
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
              (0, 1, 1, 2))
    data = b"".join(rows_of(samples[y::down, x::right]) for x, y, right, down in passes
                    if samples[y::down, x::right].size)
    return png_file(samples.shape[1], samples.shape[0], bits, kind, 1, data)


def high_bytes(samples):
    high = (samples >> 8).astype(np.uint8)
    return Image.fromarray(high[:, :, 0] if high.shape[2] in (1, 2) else high[:, :, :3])


def oriented(kind, orientation, **options):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return image("RGB", kind, exif=exif, **options)


def without_adobe(jpeg):
    at = jpeg.index(b"\xff\xee")
    return jpeg[:at] + jpeg[at + 2 + struct.unpack(">H", jpeg[at + 2:at + 4])[0]:]


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


def zip_of(compression, **members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name.replace("__", "/").replace("_pkl", ".pkl")), data,
                             compression)
    return out.getvalue()


def tar_of(mode, **members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, format=tarfile.USTAR_FORMAT) as archive:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def torch_names():
    """Stand-ins of the names that torch.save writes, so that it is not needed here."""
    found = {}
    for module, names in (("torch._utils", ("_rebuild_tensor_v2", "_rebuild_parameter")),
                          ("torch", ("FloatStorage", "ByteStorage", "HalfStorage", "Size"))):
        made = sys.modules[module] = types.ModuleType(module)
        for name in names:
            found[name] = types.new_class(name)
            found[name].__module__ = module
            setattr(made, name, found[name])
    return found


class Call:
    """Pickled as a call."""

    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


class Storage:
    def __init__(self, kind, key, elements):
        self.identifier = "storage", kind, key, "cpu", elements


class TorchPickler(pickle.Pickler):
    def __init__(self, out, old):
        super().__init__(out, 2)
        self.old = old

    def persistent_id(self, value):
        if isinstance(value, Storage):
            return value.identifier + ((None,) if self.old else ())


def torch_pickle(value, old=False):
    out = io.BytesIO()
    TorchPickler(out, old).dump(value)
    return out.getvalue()


for mode in ("L", "RGB", "RGBA", "LA", "P", "1", "I;16"):
    put("image", f"{mode.replace(';', '')}.png".lower(), image(mode, "PNG"))
for mode in ("L", "RGB"):
    put_image(f"{mode}.jpg".lower(), image(mode, "JPEG"))
put_image("progressive.jpg", image("RGB", "JPEG", (17, 9), progressive=True))
put("image", "neither.bin", bytes(range(16)))

# Inks: as Adobe stores them (how much light passes), as YCCK, and plainly.
adobe = image("CMYK", "JPEG", quality=95)
put_image("cmyk.jpg", adobe)
at = adobe.index(b"Adobe") + 11
put_image("ycck.jpg", adobe[:at] + b"\2" + adobe[at + 1:])
plain = without_adobe(adobe)
inks = 255 - np.asarray(Image.open(io.BytesIO(plain)))  # Pillow takes all for Adobe's
put_image("plain_cmyk.jpg", plain, Image.fromarray(inks, "CMYK").convert("RGB"))

for orientation in range(1, 9):
    put_image(f"exif{orientation}.png", oriented("PNG", orientation))
put_image("exif6.jpg", oriented("JPEG", 6, quality=95))
put_image("exif6.webp", oriented("WEBP", 6, lossless=True))
put_image("exif5.tif", oriented("TIFF", 5), Image.fromarray(ramp(5, 6, 3)).transpose(Image.TRANSPOSE))

for name, samples, kind in (("deep_l", deep(4095), 0), ("deep_la", deep(65535, 2), 4),
                            ("deep_rgb", deep(65535, 3), 2), ("deep_rgba", deep(65535, 4), 6)):
    put_image(f"{name}.png", deep_png(samples, kind), high_bytes(samples))
put_image("interlaced.png", interlaced_png(ramp(11, 9, 3), 8, 2))
put_image("deep_interlaced.png", interlaced_png(deep(65535), 16, 0), high_bytes(deep(65535)))
put_image("animated.png", image("RGB", "PNG", save_all=True, append_images=[Image.new("RGB", (6, 5))]))

put_image("rgb.webp", image("RGB", "WEBP", lossless=True))
put_image("lossy.webp", image("RGB", "WEBP", (17, 9), quality=80))
put_image("rgba.webp", image("RGBA", "WEBP", lossless=True, exact=True))
black = Image.new("RGB", (6, 5))
put_image("animated.webp", image("RGB", "WEBP", lossless=True, save_all=True, append_images=[black]))
put_image("p.gif", image("P", "GIF", interlace=0))
put_image("interlaced.gif", image("P", "GIF", (10, 19), interlace=1))
put_image("animated.gif", image("P", "GIF", save_all=True, append_images=[black.convert("P")]))
put_image("fax.tif", image("1", "TIFF", (40, 30), compression="group4"))
for mode in ("L", "RGB", "RGBA", "P", "CMYK"):
    put_image(f"{mode}.tif".lower(), image(mode, "TIFF"))
put_image("jpeg.tif", image("RGB", "TIFF", (17, 9), compression="jpeg"))
put_image("lzw.tif", image("RGB", "TIFF", compression="tiff_lzw"))
put_image("deflate.tif", image("L", "TIFF", (40, 30), compression="tiff_adobe_deflate"))
put_image("pages.tif", image("RGB", "TIFF", save_all=True, append_images=[black]),
          Image.fromarray(ramp(5, 6, 3)))
put_image("i16.tif", image("I;16", "TIFF"), Image.fromarray(ramp(5, 6)))
for mode in ("1", "L", "RGB", "P"):
    put_image(f"{mode}.bmp".lower(), image(mode, "BMP"),
              Image.open(io.BytesIO(image(mode, "BMP"))).convert("RGB"))
put_image("rgba.bmp", image("RGBA", "BMP"))
for mode, ending in (("1", "pbm"), ("L", "pgm"), ("RGB", "ppm")):
    put_image(f"bytes.{ending}", image(mode, "PPM"))
put_image("text.pgm", b"P2\n# a comment\n2 2 # another\n15\n0 5\n10 15\n",
          Image.fromarray(np.array([[0, 85], [170, 255]], np.uint8)))
put_image("text.ppm", b"P3 1 2 255 1 2 3 4 5 6\n", Image.fromarray(np.arange(1, 7, dtype=np.uint8).reshape(2, 1, 3)))
put_image("text.pbm", b"P1 3 2\n0 1 0\n101\n",
          Image.fromarray(np.array([[255, 0, 255], [0, 255, 0]], np.uint8)))
put_image("deep.pgm", b"P5 2 1 4095\n" + struct.pack(">HH", 4095, 2048),
          Image.fromarray(np.array([[255, 128]], np.uint8)))

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

put("npy_strings", "names.npy", npy(np.array(["cat", "dog", "h\u00f6hle"])))
put("npy_strings", "bytes.npy", npy(np.array([b"cat", b"dog"])))
put("npy_strings", "latin1.npy", npy(np.array([b"h\xf6hle"])))
put("npy_strings", "column.npy", npy(np.array([["cat"], ["dog"]])))
put("npy_strings", "big_endian.npy", npy(np.array(["cat", "dog"], ">U3")))
put("npy_strings", "surrogate.npy", npy(np.array(["ab"])).replace(b"a\0\0\0", b"\0\xd8\0\0"))

put("toml", "recipe.toml", b'method = "dm"\nimages_per_class = 10\nimage_learning_rate = 1.5e-1\n'
    b"clamp = true\naugment = ['flip', 'crop']\n# a comment\n")
put("toml", "table.toml", b"[table]\na = 1\n")
put("toml", "letters.toml", 'name = "h\u00f6hle"\n# \u018d\n'.encode())
put("toml", "header.toml", b"a = 1\n[#b]\n")
put("toml", "odd.toml", b'"a b" = """x\ny"""\nd = 1979-05-27T07:32:00Z\nh = 0xFF\ni = -inf\nn = [[1], [2]]\n')

put("records", "run.jsonl", b'{"kind":"start","seed":7}\n{"iteration":3,"kind":"loss","loss":0.5}\n'
    b'{"iteration":9,"kind":"loss","loss":0.25}\n')
put("records", "damaged.jsonl", b'{"hash":"0000000000000000","kind":"start"}\n{"kind":"end"}\n')
put("records", "deep.jsonl", b'{"a":' + b"[" * 2000 + b"]" * 2000 + b"}\n{}\n")
put("records", "large.jsonl", b'{"iteration":18446744073709551615,"kind":"x"}\n{"iteration":1e3}\n')

put("gzip", "ramp.gz", gzip.compress(ramp(500).tobytes(), mtime=0))
put("gzip", "empty.gz", gzip.compress(b"", mtime=0))
put("gzip", "two.gz", gzip.compress(b"one", mtime=0) + gzip.compress(b"two", mtime=0))
put("gzip", "size.gz", gzip.compress(bytes(300), mtime=0)[:-4] + struct.pack("<I", 2**20))

members = dict(first=b"one", second=bytes(300))
put("archive", "stored.zip", zip_of(zipfile.ZIP_STORED, **members))
put("archive", "deflated.zip", zip_of(zipfile.ZIP_DEFLATED, **members))
packed = zip_of(zipfile.ZIP_DEFLATED, first=bytes(300))
put("archive", "size.zip", packed.replace(struct.pack("<I", 300), struct.pack("<I", 2**31)))
tar = tar_of("w", **members)[:2560 + 512]
put("archive", "plain.tar", tar)
for ending in ("gz", "bz2", "xz"):
    data = tar_of("w:" + ending, **members)
    put("archive", "packed.tar." + ending, data if ending != "gz" else gzip.compress(tar, mtime=0))

names = torch_names()
def tensor(kind, key, elements, offset, sizes, strides):
    return Call(names["_rebuild_tensor_v2"], Storage(names[kind], key, elements), offset, sizes, strides,
                False, {})
tree = {"images": tensor("FloatStorage", "0", 6, 0, (2, 3), (3, 1)), "ipc": 1, "names": ["cat", "dog"],
        "weight": Call(names["_rebuild_parameter"], tensor("HalfStorage", "1", 4, 1, (3,), (1,)), True, {}),
        "repeated": tensor("ByteStorage", "2", 1, 0, Call(names["Size"], (4, 4)), (0, 0)),
        "none": tensor("ByteStorage", "2", 1, 0, (0, 4), (4, 1))}
outside = {"x": tensor("FloatStorage", "0", 6, 1, (2, 3), (3, 1))}
storages = {"0": bytes(24), "1": bytes(8), "2": b"\7"}
for name, value in (("tree", tree), ("outside", outside)):
    put("torch_content", name + ".pt",
        zip_of(zipfile.ZIP_STORED, x__data_pkl=torch_pickle(value), x__byteorder=b"little",
               **{"x__data__" + key: data for key, data in storages.items()}))
    system = dict(protocol_version=1001, little_endian=True, type_sizes=dict(short=2, int=4, long=4))
    keys = ["0", "1", "2"] if value is tree else ["0"]
    put("torch_content", "old_" + name + ".pt",
        b"".join([pickle.dumps(0x1950a86a20f9469cfc6c, 2), pickle.dumps(1001, 2), pickle.dumps(system, 2),
                  torch_pickle(value, True), pickle.dumps(keys, 2)]
                 + [struct.pack("<Q", elements) + storages[key]
                    for key, elements in zip(keys, (6, 4, 1))]))

wnids = b"n01629819\nn01443537\n"
words = b"n01443537\tgoldfish, Carassius auratus\nn01629819\tEuropean fire salamander\n"
boxes = b"val_0.JPEG\tn01443537\t0\t0\t62\t62\nval_1.JPEG\tn01629819\t3\t3\t63\t63\n"
put("tiny_imagenet", "whole", b"\0".join([wnids, words, boxes]))
put("tiny_imagenet", "twice", b"\0".join([wnids + wnids, words, boxes]))
put("tiny_imagenet", "root", b"\0".join([wnids + b"/\n", words, boxes]))
put("tiny_imagenet", "above", b"\0".join([wnids, words, boxes.replace(b"val_1", b"../val_1")]))
put("tiny_imagenet", "same_words", b"\0".join([wnids, words.replace(b"European fire salamander", b"goldfish"), boxes]))
put("tiny_imagenet", "unknown_class", b"\0".join([wnids, words, boxes.replace(b"n0144", b"n0155")]))

rows = dict(data=ramp(3, 12), labels=np.array([1, 500, 1000]))
put("imagenet_npz", "stored.npz", npz(False, **rows))
put("imagenet_npz", "deflated.npz", npz(True, **rows))
put("imagenet_npz", "labels.npz", npz(True, data=ramp(3, 12), labels=np.array([0, 500, 1001])))
packed = npz(True, data=np.zeros((3, 12), np.uint8), labels=np.arange(1, 4))
put("imagenet_npz", "size.npz", packed.replace(struct.pack("<I", 128 + 36), struct.pack("<I", 0xED000000)))
put("imagenet_npz", "shape.npz", npz(True, data=ramp(3, 13), labels=np.arange(1, 4)))

put("class_counts", "names.txt", b"# a comment\ncat = 1\r\n\ndog=2\na=b=3\n")
put("class_counts", "ids.txt", b"n1=1\n1=20\nn3=1000000\n")
put("class_counts", "wrong.txt", b"cta=1\ncat=0\ncat=1000001\ncat=99999999999999999999\n=\ncat=1\n0=2\n")
