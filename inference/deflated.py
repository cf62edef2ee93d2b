"""What is deflated in a DICOM file (PS3.5 A.5), inflated piece by piece and not without
end: a small file may hold more than any memory."""

import zlib
from collections.abc import Iterator
from typing import BinaryIO

from inference.unreadable import UnreadableFrame

AT_ONCE = 1 << 18  # bytes


def inflated(first: bytes, file: BinaryIO, most: int) -> Iterator[bytes]:
    """At most AT_ONCE bytes at a time, of what `first` and then `file` hold.

    Raises UnreadableFrame: too_large beyond `most` bytes, truncated.
    """
    inflate, total = zlib.decompressobj(-zlib.MAX_WBITS), 0
    while not inflate.eof:
        given = inflate.unconsumed_tail or first or file.read(AT_ONCE)
        first = b""
        try:
            piece = inflate.decompress(given, AT_ONCE)
        except zlib.error as error:
            sentence = "The deflated part of the file is damaged."
            raise UnreadableFrame("truncated", sentence) from error
        total += len(piece)
        if total > most:
            raise UnreadableFrame("too_large", "The file inflates without end.")
        # Without input, too, zlib may have something left to say.
        if not given and not piece and not inflate.eof:
            sentence = "The deflated part of the file ends early."
            raise UnreadableFrame("truncated", sentence)
        yield piece
