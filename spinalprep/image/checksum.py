"""Whether a compressed file is what was written: gzip keeps a checksum at its end."""

from pathlib import Path
from typing import cast

from isal import igzip_lib, isal_zlib

_Damaged = cast(type[Exception], igzip_lib.IsalError)  # its stubs say an instance

GZIP = 31  # window bits that mean a stream with header and checksum
CHUNK = 1 << 20
BEYOND = 1 << 24  # bytes behind the voxels; a stream that goes on further is not followed


def is_damaged(path: Path, needed: int) -> bool:
    """Tell whether the checksum of a gzip stream is wrong.

    Who reads voxels alone stops before the end and never compares it: a flipped bit becomes
    voxels.

    Parameters
    ----------
    path : Path
        Any file; only what begins as gzip does can be damaged.
    needed : int
        Bytes that are read of it. What comes more than 16 MB behind is not looked at.
    """
    stream, got = isal_zlib.decompressobj(wbits=GZIP), 0
    try:
        with path.open("rb") as file:
            start = file.read(2)
            if start != b"\x1f\x8b":
                return False
            chunk = start + file.read(CHUNK)
            while chunk and not stream.eof and got <= needed + BEYOND:
                got += len(stream.decompress(chunk, CHUNK))
                chunk = stream.unconsumed_tail or file.read(CHUNK)
    except (OSError, _Damaged):
        return True
    return False
