"""Grey and colour PNG files from arrays, in memory."""

import base64
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

Bytes2D = NDArray[np.uint8]


def encode_png(pixels: NDArray[Any]) -> bytes:
    """Return an 8-bit PNG file.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (H, W) or (H, W, 3)
        Grey levels or RGB; row 0 is the top.

    Notes
    -----
    Rows are Paeth-filtered (PNG specification, section 9.4), which suits smooth pictures.
    """
    height, width = pixels.shape[:2]
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    rows = np.ascontiguousarray(pixels, np.uint8).reshape(height, width, channels)
    filtered = _paeth(rows).reshape(height, -1)
    body = np.concatenate([np.full((height, 1), 4, np.uint8), filtered], axis=1).tobytes()
    colour = 0 if channels == 1 else 2
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(kind, data)
        for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(body, 7)), (b"IEND", b""))
    )


def data_uri(pixels: NDArray[Any]) -> str:
    """Return a picture as a ``data:`` address that needs no file."""
    return "data:image/png;base64," + base64.b64encode(encode_png(pixels)).decode("ascii")


def to_grey(values: NDArray[Any], low: float, high: float) -> Bytes2D:
    """Map ``low`` to black and ``high`` to white; not-a-number is black."""
    span = max(high - low, 1e-12)
    scaled = np.clip((np.nan_to_num(values, nan=low) - low) / span, 0, 1) * 255
    return np.asarray(np.rint(scaled), np.uint8)


def _paeth(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Subtract from each byte the neighbour that predicts it best; all known, so all at once."""
    now = rows.astype(np.int16)
    left = np.pad(now, ((0, 0), (1, 0), (0, 0)))[:, :-1]
    up = np.pad(now, ((1, 0), (0, 0), (0, 0)))[:-1]
    corner = np.pad(now, ((1, 0), (1, 0), (0, 0)))[:-1, :-1]
    guess = left + up - corner
    to_left, to_up, to_corner = abs(guess - left), abs(guess - up), abs(guess - corner)
    best = np.where(
        (to_left <= to_up) & (to_left <= to_corner), left, np.where(to_up <= to_corner, up, corner)
    )
    predicted: Bytes2D = (now - best).astype(np.uint8)
    return predicted


def _chunk(kind: bytes, data: bytes) -> bytes:
    """Return one PNG chunk with length and checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
