"""Makes small minidumps: one thread, one module, a stack, and whatever streams a case asks for.

The layouts are those of the public minidump headers; nothing here is shared with the reader, so
that a mistake of one is not hidden by the same mistake of the other.
"""
import struct

STACK = 0x7FF0000000
MODULE = 0x400000
MODULE_SIZE = 0x100000
GUID = bytes(range(0x10, 0x20))
DEBUG_ID = "131211101514171618191A1B1C1D1E1F0"

OS = {"windows": 2, "mac": 0x8101, "ios": 0x8102, "linux": 0x8201, "android": 0x8203}


def registers_record(size, flags_at, flags, flags_bytes, slots, registers):
    record = bytearray(size)
    struct.pack_into("<Q" if flags_bytes == 8 else "<I", record, flags_at, flags)
    for name, value in registers.items():
        at, width = slots[name]
        struct.pack_into("<Q" if width == 8 else "<I", record, at, value)
    return bytes(record)


def numbered(first, names, width):
    return {name: (first + i * width, width) for i, name in enumerate(names)}


AMD64 = numbered(120, "rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15 rip".split(), 8)
X86 = numbered(156, "edi esi ebx edx ecx eax ebp eip cs eflags esp".split(), 4)
ARM = numbered(4, [f"r{i}" for i in range(11)] + "fp r12 sp lr pc".split(), 4)
ARM64 = numbered(8, [f"x{i}" for i in range(29)] + "fp lr sp pc".split(), 8)
MIPS = {"sp": (8 + 29 * 8, 8), "ra": (8 + 31 * 8, 8), "pc": (312, 8)}

# architecture number, word, record
CPUS = {
    "amd64": (9, 8, (1232, 48, 0x10001F, 4, AMD64)),
    "x86": (0, 4, (716, 0, 0x1003F, 4, X86)),
    "arm": (5, 4, (368, 0, 0x40000006, 4, ARM)),
    "arm64": (12, 8, (912, 0, 0x400003, 4, ARM64)),
    "arm64-old": (0x8003, 8, (796, 0, 0x80000006, 8, ARM64)),
    "mips": (1, 4, (600, 0, 0x40007, 4, MIPS)),
}


class Dump:
    def __init__(self, cpu, system, registers, stack, stack_at=STACK):
        self.arch, self.word, record = CPUS[cpu]
        self.platform = OS[system]
        self.stack_at = stack_at & (0xFFFFFFFF if self.word == 4 else ~0)
        self.context = registers_record(*record, registers)
        self.stack = b"".join(struct.pack("<Q" if self.word == 8 else "<I", w) for w in stack)
        self.exception = (11, 1, 0, ())
        self.module = "/data/app/libapp.so"
        self.extra = []
        self.memory = []  # further ranges: (address, bytes)
        self.out = bytearray(32)  # the header comes last

    def put(self, data):
        self.out += b"\0" * (-len(self.out) % 8)
        at = len(self.out)
        self.out += data
        return at

    def string(self, text):
        encoded = text.encode("utf-16-le")
        return self.put(struct.pack("<I", len(encoded)) + encoded + b"\0\0")

    def utf8(self, data):
        return self.put(struct.pack("<I", len(data)) + data + b"\0")

    def location(self, data):
        return struct.pack("<II", len(data), self.put(data))

    def module_list(self):
        is_windows = self.platform == OS["windows"]
        if is_windows:
            record = b"RSDS" + GUID + struct.pack("<I", 0) + self.module.split("/")[-1].encode() + b"\0"
        else:
            record = b"LEpB" + GUID
        name = self.string(self.module)
        entry = struct.pack("<QIIII", MODULE, MODULE_SIZE, 0, 1, name) + bytes(52) + self.location(record)
        return struct.pack("<I", 1) + entry + bytes(108 - len(entry))

    def crashpad(self, simple, objects):
        """Annotations of the process and of module 0, as (name, value) bytes."""
        pairs = b"".join(struct.pack("<II", self.utf8(k), self.utf8(v)) for k, v in simple)
        dictionary = self.location(struct.pack("<I", len(simple)) + pairs)
        entries = b"".join(struct.pack("<IHHI", self.utf8(k), 1, 0, self.put(struct.pack("<I", len(v)) + v))
                           for k, v in objects)
        listed = self.location(struct.pack("<I", len(objects)) + entries)
        empty = struct.pack("<II", 0, 0)
        info = self.location(struct.pack("<I", 1) + empty + dictionary + listed)
        links = self.location(struct.pack("<II", 1, 0) + info)
        self.extra.append((0x43500001, struct.pack("<I", 1) + bytes(32) + dictionary + links))

    def bytes(self):
        stack = struct.pack("<Q", self.stack_at) + self.location(self.stack)
        context = self.location(self.context)
        code, flags, address, parameters = self.exception
        values = list(parameters) + [0] * (15 - len(parameters))
        streams = [
            (7, struct.pack("<HHHBBIIIIIHH", self.arch, 8, 0, 4, 0, 0, 0, 0, self.platform,
                            self.string("Linux 6.1 #1 SMP x86_64 Linux/GNU"), 0, 0) + bytes(24)),
            (4, self.module_list()),
            (3, struct.pack("<IIIIIQ", 1, 1, 0, 0, 0, 0) + stack + context),
            (5, struct.pack("<I", 1 + len(self.memory)) + stack
             + b"".join(struct.pack("<Q", at) + self.location(data) for at, data in self.memory)),
            (6, struct.pack("<IIIIQQII", 1, 0, code, flags, 0, address, len(parameters), 0)
             + struct.pack("<15Q", *values) + context),
        ] + self.extra
        directory = b"".join(struct.pack("<I", kind) + self.location(data) for kind, data in streams)
        at = self.put(directory)
        struct.pack_into("<IIIIIIQ", self.out, 0, 0x504D444D, 0xA793, len(streams), at, 0, 1700000000, 0)
        return bytes(self.out)
