"""How fixtures hold long lists of integers: the first few, and a hash over all of them."""

import struct

N_HEAD = 16


def held(values) -> dict:
    """The list's length, its first values and its FNV-1a hash (64 bits) as little-endian 64-bit words.

    Negative integers are held as their two's complement.
    """
    values = [int(value) % 2**64 for value in values]
    fnv1a = 0xCBF29CE484222325
    for byte in b"".join(struct.pack("<Q", value) for value in values):
        fnv1a = (fnv1a ^ byte) * 0x100000001B3 % 2**64
    return {"n": len(values), "head": values[:N_HEAD], "fnv1a": fnv1a}
