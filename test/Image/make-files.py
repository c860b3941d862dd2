#!/usr/bin/env python3
#===- make-files.py - Small image files for tests and fuzzing ---------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Usage: $(tools/dev/python-env.sh) test/Image/make-files.py
#
# Writes the images of test/Fuzz/seeds/image, which test/Image reads, too. The
# lossless ones have pixel (10 x, 20 y, 5), or what their name says.
#
#===------------------------------------------------------------------------===#
import pathlib
import struct
import sys

HERE = pathlib.Path(__file__).parent
sys.path.append(str(HERE.parent / "Parity"))
import packages

packages.add("images")

import numpy as np
from PIL import Image

from image_files import exif_data, orientation, png

FOLDER = HERE.parent / "Fuzz/seeds/image"


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[0:5, 0:7]
    rgb = np.stack([10 * x, 20 * y, 0 * x + 5], -1)
    alpha = (40 * x)[..., None]
    rgba = np.concatenate([rgb, alpha], -1)
    colours = (b"PLTE", bytes(range(12)))

    png(FOLDER / "rgb.png", rgb, 8, 2)
    png(FOLDER / "interlaced.png", rgb, 8, 2, interlaced=True)
    png(FOLDER / "rgba.png", rgba, 8, 6)
    png(FOLDER / "rgba-16.png", rgba * 256 + 99, 16, 6)
    png(FOLDER / "rgb-clear.png", rgb, 8, 2, chunks=[(b"tRNS", struct.pack(">3H", 20, 40, 5))])
    for depth in (1, 2, 4):
        png(FOLDER / f"grey-{depth}.png", x[..., None] % 2**depth, depth, 0)
    png(FOLDER / "grey-16.png", np.array([0, 1, 255, 256, 65535] * 2).reshape(2, 5, 1), 16, 0)
    png(FOLDER / "grey-clear.png", x[..., None] % 2, 1, 0, chunks=[(b"tRNS", b"\0\1")])
    png(FOLDER / "grey-alpha.png", np.stack([10 * x, 40 * x], -1), 8, 4)
    # Index 4 is beyond the palette; indices 0 and 1 are partly transparent.
    png(FOLDER / "palette.png", x[..., None] % 5, 8, 3, chunks=[colours, (b"tRNS", b"\0\x80")])
    # Upright these are what rgb.png is.
    png(FOLDER / "turned.png", np.rot90(rgb), 8, 2, chunks=[(b"eXIf", exif_data([(0x0112, 3, 1, b"\6\0\0\0")]))])
    # No more than its header is there.
    png(FOLDER / "huge.png", np.zeros((1, 1, 1), int), 8, 0)
    data = bytearray((FOLDER / "huge.png").read_bytes())
    data[16:24] = struct.pack(">II", 100000, 100000)
    import zlib
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    (FOLDER / "huge.png").write_bytes(data)

    # All pixels are equal: these decode exactly.
    Image.new("L", (20, 10), 77).save(FOLDER / "grey.jpg", quality=100)
    Image.new("RGB", (20, 10), (200, 200, 200)).save(FOLDER / "rgb.jpg", quality=100, exif=orientation(6))
    Image.new("CMYK", (20, 10), (0, 255, 51, 102)).save(FOLDER / "cmyk.jpg", quality=100, subsampling=0)
    waves = Image.fromarray((127 + 100 * np.sin(np.arange(20 * 30) / 7)).astype(np.uint8).reshape(20, 30)).convert("RGB")
    waves.save(FOLDER / "progressive.jpg", progressive=True, quality=50)
    Image.fromarray(rgba.astype(np.uint8)).save(FOLDER / "rgba.webp", lossless=True, exact=True)
    Image.fromarray(rgb.astype(np.uint8)).transpose(Image.Transpose.TRANSVERSE).save(
        FOLDER / "turned.webp", lossless=True, exif=orientation(7))
    Image.new("RGB", (20, 10), (77, 77, 77)).save(FOLDER / "lossy.webp", quality=80)
    Image.fromarray(rgb.astype(np.uint8)).save(FOLDER / "frames.webp", lossless=True, save_all=True, duration=10,
                                               append_images=[Image.new("RGB", (7, 5))])


if __name__ == "__main__":
    main()
