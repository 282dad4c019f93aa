"""Cabinets as Microsoft's tools make them: one file, packed with MSZIP or LZX.

Nothing in Debian writes LZX, so its blocks are the uncompressed ones that the format has: the container and the
bit stream around them are those that a symbol server sends.  With a name as argument: packs standard input.
"""
import struct
import sys
import zlib

BLOCK = 32768


def mszip(data):
    """Blocks of deflate that may refer to the block before them."""
    for at in range(0, len(data), BLOCK):
        packer = zlib.compressobj(9, zlib.DEFLATED, -15, zdict=data[max(0, at - BLOCK):at])
        yield at, b"CK" + packer.compress(data[at:at + BLOCK]) + packer.flush()


def lzx(data):
    """One block of bytes as they are: no translation of calls, kind 3, its size; then three offsets."""
    for at in range(0, len(data), BLOCK):
        head = b""
        if at == 0:
            bits = (3 << 24 | len(data)) << 4
            head = struct.pack("<HH", bits >> 16, bits & 0xffff) + struct.pack("<3I", 1, 1, 1)
        yield at, head + data[at:at + BLOCK]


def cabinet(name, data, packing="lzx"):
    blocks = list((lzx if packing == "lzx" else mszip)(data))
    kind = 0x1503 if packing == "lzx" else 1
    body = b"".join(struct.pack("<IHH", 0, len(packed), min(BLOCK, len(data) - at)) + packed for at, packed in blocks)
    entry = struct.pack("<IIHHHH", len(data), 0, 0, 0x5a21, 0, 0x20) + name.encode() + b"\0"
    start = 36 + 8 + len(entry)
    folder = struct.pack("<IHH", start, len(blocks), kind)
    return b"MSCF" + struct.pack("<IIIIIBBHHHHH", 0, start + len(body), 0, 44, 0, 3, 1, 1, 1, 0, 0, 0) + folder + \
        entry + body


if __name__ == "__main__":
    sys.stdout.buffer.write(cabinet(sys.argv[1], sys.stdin.buffer.read(), *sys.argv[2:]))
