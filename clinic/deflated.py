"""A stored file as the viewer can parse it, which does not inflate.

What is deflated is Explicit VR Little Endian once inflated (PS3.5 A.5): the file
meta group is told so, and the rest is handed on as it comes out.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import SpooledTemporaryFile
from typing import BinaryIO

from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from inference.deflated import inflated

CHUNK = 1 << 18  # bytes
LARGEST = 1 << 28  # bytes that a file may have once inflated
IN_MEMORY = 1 << 26  # bytes of it; more goes through a file without a name
META = 144  # where the file meta group begins, behind its own length (PS3.10 7.1)


def _element(syntax: str) -> bytes:
    """Transfer Syntax UID, as the file meta group has it."""
    value = syntax.encode() + b"\0" * (len(syntax) % 2)
    return b"\x02\x00\x10\x00UI" + len(value).to_bytes(2, "little") + value


DEFLATED = _element(DeflatedExplicitVRLittleEndian)
PLAIN = _element(ExplicitVRLittleEndian)


class _Peeked:
    """A file whose first bytes were read already; `.size` in bytes."""

    def __init__(self, head: bytes, file: BinaryIO) -> None:
        self.head, self.file, self.size = head, file, file.size

    def read(self, size: int) -> bytes:
        head, self.head = self.head, b""
        return head or self.file.read(size)


@contextmanager
def viewable(file: BinaryIO) -> Iterator[BinaryIO]:
    """`file` untouched but for its first chunk, or inflated; with its `.size`.

    Raises UnreadableFrame (too_large, truncated) before a byte is handed out.
    """
    head = file.read(CHUNK)
    end = META + int.from_bytes(head[140:META], "little")
    if head[128:132] != b"DICM" or DEFLATED not in head[META:end]:
        yield _Peeked(head, file)
        return
    with SpooledTemporaryFile(IN_MEMORY) as whole:
        whole.write(_told_plain(head[:end]))
        for piece in inflated(head[end:], file, LARGEST - end):
            whole.write(piece)
        whole.size = whole.tell()
        whole.seek(0)
        yield whole


def _told_plain(meta: bytes) -> bytes:
    length = len(meta) - META + len(PLAIN) - len(DEFLATED)
    group = meta[META:].replace(DEFLATED, PLAIN, 1)
    return meta[:140] + length.to_bytes(4, "little") + group
