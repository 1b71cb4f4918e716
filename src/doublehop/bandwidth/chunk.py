"""How a day of one port is packed into few octets, and unpacked quickly. Pure: no database.

A chunk is three octets (format, octets of a value that are kept as they are, octets in all), a bit for each slot that says whether it was
measured (unknown is never a zero), and the values: 288 in, 288 out. The low octets of traffic are noise that no method makes smaller; they
are kept as they are, in pieces of 4, 2 and 1 that numpy copies in one go. The upper ones change slowly: octet by octet apart they are
deflated, where that is worth its time. Those above are zero, and left out.
"""

import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from doublehop.bandwidth.slots import SLOTS_PER_DAY

FORMAT = 1
NUMBERS = 3
MASK = SLOTS_PER_DAY // 8
HEAD = NUMBERS + MASK
VALUES = 2 * SLOTS_PER_DAY
WIDEST = 8
PIECES = (np.dtype("<u4"), np.dtype("<u2"), np.dtype("u1"))
DEFLATED_AT_MOST = 3
"""Octets of a value that are tried: below them is noise."""
WORTH = 0.8
"""Deflating must make a chunk so much smaller: to inflate it costs as long as all the rest of reading it."""
WINDOW = -9
"""The smallest window of zlib, without its head: more is not needed for so few octets, and takes longer to set up."""

Octets = NDArray[np.int64]
Measured = NDArray[np.bool_]


class BadChunk(ValueError):
    """These octets are no chunk that this release knows."""


def pack(octets_in: Octets, octets_out: Octets, measured: Measured) -> bytes:
    """288 values each, none negative; those that are not ``measured`` are kept as unknown, whatever they are."""
    values = np.stack([octets_in, octets_out]) * measured
    table = values.astype("<i8").reshape(-1, 1).view(np.uint8)
    width = WIDEST
    while width and not table[:, width - 1].any():
        width -= 1
    kept, body = width, _as_they_are(table, width)
    longest = len(body) * WORTH
    for low in range(max(0, width - DEFLATED_AT_MOST), width):
        tried = _as_they_are(table, low) + _deflated(table[:, low:width])
        if len(tried) <= longest and len(tried) < len(body):
            kept, body = low, tried
    return bytes((FORMAT, kept, width)) + np.packbits(measured).tobytes() + body


def _as_they_are(table: NDArray[np.uint8], kept: int) -> bytes:
    return b"".join(table[:, at : at + piece.itemsize].tobytes() for at, piece in _pieces(kept))


def _pieces(kept: int) -> Iterator[tuple[int, np.dtype[np.uint32 | np.uint16 | np.uint8]]]:
    """(first octet, type) of the pieces that so many octets of a value are kept in."""
    at = 0
    for piece in PIECES:
        while kept - at >= piece.itemsize:
            yield at, piece
            at += piece.itemsize


def _deflated(columns: NDArray[np.uint8]) -> bytes:
    squeeze = zlib.compressobj(1, wbits=WINDOW)
    return squeeze.compress(columns.T.tobytes()) + squeeze.flush()


def unpack(chunks: Sequence[tuple[int, bytes | memoryview]], days: int) -> tuple[Octets, Measured]:
    """(place of the day, chunk) each, in order, become octets of the shape (2, days, 288) and what is measured (days, 288).

    Days without a chunk are not measured. Raises BadChunk.
    """
    table = np.zeros((2, days, SLOTS_PER_DAY, WIDEST), dtype=np.uint8)
    measured = np.zeros((days, SLOTS_PER_DAY), dtype=np.bool_)
    alike: dict[bytes, list[tuple[int, bytes | memoryview]]] = defaultdict(list)
    for one in chunks:
        alike[bytes(one[1][:NUMBERS])].append(one)
    for (known, kept, width), some in alike.items():
        if known != FORMAT:
            raise BadChunk(f"A chunk of the unknown format {known}.")
        rows = _rows([place for place, _ in some])
        bits = np.frombuffer(b"".join([data[NUMBERS:HEAD] for _, data in some]), dtype=np.uint8)
        measured[rows] = np.unpackbits(bits).reshape(-1, SLOTS_PER_DAY)
        _fill(table, rows, kept, width, [data for _, data in some])
    return table.view("<i8").reshape(2, days, SLOTS_PER_DAY), measured


def _rows(places: list[int]) -> slice | list[int]:
    """Days that follow each other are written as one piece."""
    follow = places[-1] - places[0] == len(places) - 1
    return slice(places[0], places[-1] + 1) if follow else places


def _fill(
    table: NDArray[np.uint8],
    rows: slice | list[int],
    kept: int,
    width: int,
    some: Sequence[bytes | memoryview],
) -> None:
    """Chunks that are made alike, all at once."""
    for at, piece in _pieces(kept):
        begin, end = HEAD + at * VALUES, HEAD + (at + piece.itemsize) * VALUES
        whole = np.frombuffer(b"".join([data[begin:end] for data in some]), dtype=piece)
        target = table.view(piece)[..., at // piece.itemsize]
        target[:, rows] = whole.reshape(-1, 2, SLOTS_PER_DAY).transpose(1, 0, 2)
    if width > kept:
        upper, begin = width - kept, HEAD + kept * VALUES
        inflated = b"".join([zlib.decompress(data[begin:], WINDOW, upper * VALUES) for data in some])
        cube = np.frombuffer(inflated, dtype=np.uint8).reshape(-1, upper, 2, SLOTS_PER_DAY)
        for plane in range(upper):
            table[..., kept + plane][:, rows] = cube[:, plane].transpose(1, 0, 2)
