"""The seccomp flavour of classic BPF, as kernel/seccomp.c checks and runs it - for tests alone.

Written from Documentation/networking/filter.rst and linux/seccomp.h, not from the compiler.
"""

import struct

MAX_INSTRUCTIONS = 4096


class Refused(Exception):
    """The kernel would not install this program."""


def decode(program):
    """Return the instructions as (code, jt, jf, k); raises Refused as seccomp_check_filter does."""
    if not program or len(program) % 8:
        raise Refused("not a whole number of instructions")
    code = [struct.unpack_from("<HBBI", program, offset) for offset in range(0, len(program), 8)]
    if len(code) > MAX_INSTRUCTIONS:
        raise Refused("too many instructions")
    for position, (operation, jt, jf, k) in enumerate(code):
        left = len(code) - position - 1
        if operation == 0x20:  # ld [k]
            if k % 4 or k >= 64:
                raise Refused("load outside struct seccomp_data")
        elif operation == 0x05:  # ja
            if k >= left:
                raise Refused("jump out of the program")
        elif operation in (0x15, 0x25, 0x35, 0x45):  # jeq jgt jge jset
            if jt >= left or jf >= left:
                raise Refused("jump out of the program")
        elif operation not in (0x06, 0x54):  # ret, and
            raise Refused(f"unexpected instruction {operation:#x}")
    if code[-1][0] != 0x06:
        raise Refused("runs off its end")
    return code


def run(code, arch, number, args=(0, 0, 0, 0, 0, 0)):
    """Return (answer, instructions run) for one system call."""
    args = [*args, *[0] * (6 - len(args))]
    data = struct.pack("<IIQ6Q", number, arch, 0x7F0012345678, *args)
    accumulator = position = steps = 0
    while True:
        operation, jt, jf, k = code[position]
        position += 1
        steps += 1
        if operation == 0x06:
            return k, steps
        if operation == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, k)
        elif operation == 0x54:
            accumulator &= k
        elif operation == 0x05:
            position += k
        else:
            taken = {
                0x15: accumulator == k,
                0x25: accumulator > k,
                0x35: accumulator >= k,
                0x45: accumulator & k != 0,
            }[operation]
            position += jt if taken else jf
