#===- image_files.py - Image files of every kind ----------------------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Writes generated pictures in all formats and modes that are read. Pillow writes
# most of them; PNG files that it reads but does not write are made here.
#
#===------------------------------------------------------------------------===#
import struct
import zlib

import numpy as np
from PIL import Image, ImageFilter

PASSES = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def picture(width, height, channels=3, seed=0):
    """Waves, edges and noise, u8 [height, width, channels]."""
    rng = np.random.default_rng([seed, width, height, channels])
    y, x = np.mgrid[0:height, 0:width]
    planes = []
    for channel in range(channels):
        wave = np.sin(x / rng.uniform(2, 40) + channel) + np.cos(y / rng.uniform(2, 40))
        edges = ((x // rng.integers(3, 50) + y // rng.integers(3, 50)) % 2) * 2 - 1
        planes.append(127 + 50 * wave + 40 * edges + rng.normal(0, 15, (height, width)))
    return np.clip(np.stack(planes, -1), 0, 255).astype(np.uint8)


def png(path, samples, depth, kind, interlaced=False, chunks=(), behind=()):
    """A PNG of samples [height, width, channels] with `depth` bits, type `kind`; chunks come before and behind the pixels."""
    height, width, channels = samples.shape

    def rows(part):
        if depth == 16:
            raw = part.astype(">u2").view(np.uint8).reshape(len(part), -1)
        elif depth == 8:
            raw = part.astype(np.uint8).reshape(len(part), -1)
        else:
            bits = (part[..., 0, None] >> np.arange(depth - 1, -1, -1)) & 1
            raw = np.packbits(bits.reshape(len(part), -1).astype(np.uint8), axis=1)
        return b"".join(b"\0" + row.tobytes() for row in raw)

    parts = [samples[y::dy, x::dx] for x, y, dx, dy in PASSES] if interlaced else [samples]
    data = b"".join(rows(part) for part in parts if part.size)
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, interlaced)
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        for name, body in [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(data)), *behind, (b"IEND", b"")]:
            file.write(struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)))
    return path


def written_png(folder, size=(61, 43)):
    """PNG files that Pillow does not write: 16 bits, few bits, interlaced, transparent colours."""
    width, height = size
    wide = np.random.default_rng(5).integers(0, 65536, (height, width, 4))
    wide[:, : width // 2] //= 256  # Grey of 16 bits is clipped: also some that is not.
    palette = (b"PLTE", np.random.default_rng(6).integers(0, 256, 48).astype(np.uint8).tobytes())
    alphas = (b"tRNS", bytes(range(0, 240, 20)))
    low = wide[..., :1] % 16
    for interlaced in (False, True):
        name = "interlaced" if interlaced else "rows"
        for kind, channels, title in ((0, 1, "grey"), (2, 3, "rgb"), (4, 2, "grey-alpha"), (6, 4, "rgba")):
            yield png(folder / f"{title}-16-{name}.png", wide[..., :channels], 16, kind, interlaced)
            yield png(folder / f"{title}-8-{name}.png", wide[..., :channels] % 256, 8, kind, interlaced)
        for depth in (1, 2, 4):
            yield png(folder / f"grey-{depth}-{name}.png", low % 2**depth, depth, 0, interlaced)
            yield png(folder / f"palette-{depth}-{name}.png", low % 2**depth, depth, 3, interlaced, [palette])
        yield png(folder / f"palette-alpha-{name}.png", low, 8, 3, interlaced, [palette, alphas])
    one = (b"tRNS", b"\xff\xff\x00\xff")
    yield png(folder / "palette-one-clear.png", low, 4, 3, chunks=[palette, one])
    yield png(folder / "palette-beyond.png", wide[..., :1] % 20, 8, 3, chunks=[palette])
    for depth in (1, 2, 4, 8, 16):
        samples = low % 2**depth
        for value in (0, 1, 5):
            clear = (b"tRNS", struct.pack(">H", value % 2**depth))
            yield png(folder / f"grey-{depth}-clear-{value}.png", samples, depth, 0, chunks=[clear])
    for depth in (8, 16):
        samples = wide[..., :3] % 2 * (1 if depth == 8 else 257)
        clear = (b"tRNS", struct.pack(">3H", *samples[3, 4]))
        yield png(folder / f"rgb-{depth}-clear.png", samples, depth, 2, chunks=[clear])
    yield png(folder / "gamma.png", wide[..., :3] % 256, 8, 2, chunks=[(b"gAMA", struct.pack(">I", 100000))])


def orientation(value):
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


def exif_data(entries, endian="<", offset=8):
    """EXIF data without a prefix; entries are (tag, type, count, four bytes of value)."""
    head = {"<": b"II*\0", ">": b"MM\0*"}[endian] + struct.pack(endian + "I", offset) + bytes(offset - 8)
    rows = b"".join(struct.pack(endian + "HHI", *entry[:3]) + entry[3] for entry in entries)
    return head + struct.pack(endian + "H", len(entries)) + rows + bytes(4)


def jpeg_with(path, image, segments):
    """A JPEG with segments APP1 in front of all others."""
    image.save(path)
    data = path.read_bytes()
    parts = b"".join(b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body for body in segments)
    path.write_bytes(data[:2] + parts + data[2:])
    return path


def turned_files(folder, size=(61, 43)):
    """Pictures whose EXIF data say how they are turned, in every way of saying it."""
    rgb, rgba = Image.fromarray(picture(*size)), Image.fromarray(picture(*size, 4))
    for value in range(10):
        for name, image, options in (("rgb.jpg", rgb, {}), ("rgb.png", rgb, {}), ("rgba.png", rgba, {}),
                                     ("rgb.webp", rgb, {"lossless": True}), ("rgba.webp", rgba, {"lossless": True})):
            path = folder / f"turned-{value}-{name}"
            image.save(path, exif=orientation(value), **options)
            yield path
    rgb.convert("L").save(folder / "turned-grey.jpg", exif=orientation(8))
    rgb.quantize(50).save(folder / "turned-palette.png", exif=orientation(5), transparency=3)
    yield from (folder / "turned-grey.jpg", folder / "turned-palette.png")

    other = (0x0100, 4, 1, struct.pack("<I", 5))
    short = {endian: struct.pack(endian + "HH", 6, 3) for endian in "<>"}
    wide = struct.pack("<I", 5)
    data = {
        "big-endian": exif_data([(0x0112, 3, 1, short[">"])], ">"),
        "later": exif_data([other, (0x0112, 3, 1, short["<"])], offset=20),
        "two-values": exif_data([(0x0112, 3, 2, short["<"])]),
        "long": exif_data([(0x0112, 4, 1, wide)]),
        "byte": exif_data([(0x0112, 1, 1, wide)]),
        "text": exif_data([(0x0112, 2, 2, b"6\0\0\0")]),
        "no-value": exif_data([(0x0112, 3, 0, short["<"])]),
        "unknown-type": exif_data([(0x0112, 99, 1, short["<"]), (0x0112, 4, 1, wide)]),
        "twice": exif_data([(0x0112, 3, 1, short["<"]), (0x0112, 4, 1, wide)]),
        "cut": exif_data([other, (0x0112, 3, 1, short["<"])])[:-10],
        "beyond": exif_data([(0x0112, 3, 1, short["<"])], offset=8)[:4] + struct.pack("<I", 1000) + bytes(8),
        "prefixed": b"Exif\0\0" + exif_data([(0x0112, 3, 1, short["<"])]),
    }
    for name, exif in data.items():
        yield jpeg_with(folder / f"exif-{name}.jpg", rgb, [b"Exif\0\0" + exif])
        path = folder / f"exif-{name}.webp"
        rgb.save(path, lossless=True, exif=exif)
        yield path
        if name != "prefixed":  # Pillow writes it so, and it is no PNG.
            yield png(folder / f"exif-{name}.png", picture(*size), 8, 2, chunks=[(b"eXIf", exif)])
    whole = data["later"]
    yield jpeg_with(folder / "exif-pieces.jpg", rgb, [b"Exif\0\0" + whole[:30], b"http\0", b"Exif\0\0" + whole[30:]])
    yield png(folder / "exif-behind.png", picture(*size), 8, 2, behind=[(b"eXIf", whole)])
    yield png(folder / "exif-two.png", picture(*size), 8, 2, chunks=[(b"eXIf", data["long"]), (b"eXIf", whole)])


def written_by_pillow(folder, size=(61, 43)):
    rgb = Image.fromarray(picture(*size))
    rgba = Image.fromarray(picture(*size, 4))
    alpha = rgba.getchannel("A").filter(ImageFilter.MaxFilter(5)).point(lambda v: 0 if v < 90 else v)
    rgba.putalpha(alpha)
    grey = rgb.convert("L")

    def save(image, name, **options):
        image.save(folder / name, **options)
        return folder / name

    yield save(rgb, "rgb.png")
    yield save(rgba, "rgba.png")
    yield save(grey, "grey.png")
    yield save(rgba.convert("LA"), "grey-alpha.png")
    yield save(rgb.convert("1"), "bits.png")
    yield save(rgb.quantize(200), "palette.png")
    yield save(rgb.quantize(200), "palette-clear.png", transparency=3)
    yield save(rgba.quantize(100), "palette-rgba.png")
    yield save(rgb, "rotated.png", exif=orientation(6))
    for name, options in {"plain": {}, "444": {"subsampling": 0}, "422": {"subsampling": 1}, "bad": {"quality": 15},
                          "progressive": {"progressive": True}, "optimised": {"optimize": True, "quality": 95},
                          "restarts": {"restart_marker_blocks": 3}, "rotated": {"exif": orientation(6)}}.items():
        yield save(rgb, f"rgb-{name}.jpg", **options)
    yield save(grey, "grey.jpg")
    yield save(rgb.convert("CMYK"), "cmyk.jpg")
    inks = Image.fromarray(picture(*size, 4)).tobytes()
    yield save(Image.frombytes("CMYK", size, inks), "inks.jpg", quality=90)
    for name, image in (("rgb", rgb), ("rgba", rgba)):
        yield save(image, f"{name}-lossy.webp", quality=70)
        yield save(image, f"{name}-lossless.webp", lossless=True)
        yield save(image, f"{name}-exact.webp", lossless=True, exact=True)
    other = Image.fromarray(picture(*size, 4, seed=9))
    yield save(rgba, "frames.webp", save_all=True, append_images=[other], duration=100)
    yield save(rgb, "opaque-frames.webp", save_all=True, append_images=[other.convert("RGB")], duration=100)


def all_files(folder):
    (folder / "pillow").mkdir()
    (folder / "made").mkdir()
    return [*written_by_pillow(folder / "pillow"), *written_png(folder / "made"),
            *written_by_pillow_sizes(folder)]


def written_by_pillow_sizes(folder):
    """JPEG and WebP work in blocks: sizes that end within one."""
    for width, height in ((1, 1), (7, 3), (8, 8), (17, 16), (33, 31), (200, 3)):
        image = Image.fromarray(picture(width, height))
        for name in (f"{width}x{height}.png", f"{width}x{height}.jpg", f"{width}x{height}.webp"):
            image.save(folder / name)
            yield folder / name
