"""A minidump reader for the tests of the writer: small, strict, independent of the C one."""
import struct

STREAMS = {3: "threads", 4: "modules", 5: "memory", 6: "exception", 7: "system", 15: "misc",
           24: "names", 0x47670001: "breakpad", 0x47670003: "cpuinfo", 0x47670004: "status",
           0x47670005: "lsb", 0x47670006: "cmdline", 0x47670007: "environ", 0x47670008: "auxv",
           0x47670009: "maps", 0x4d7a0003: "limits"}
REGISTERS = "rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15 rip".split()


class Minidump:
    def __init__(self, data):
        self.data = data
        signature, version, count, directory, _, self.time, _ = struct.unpack_from("<6IQ", data)
        assert signature == 0x504d444d and version & 0xffff == 0xa793, "header"
        self.streams = {}
        for i in range(count):
            kind, size, rva = struct.unpack_from("<3I", data, directory + 12 * i)
            assert rva + size <= len(data), f"stream {kind:x} outside the file"
            assert kind not in self.streams, f"stream {kind:x} twice"
            self.streams[STREAMS[kind]] = (size, rva)
        self.regions = [(a, self.at(size, rva)) for a, size, rva in self.list("memory", "<Q2I", 16)]
        self.names = {tid: self.string(rva) for tid, rva in self.list("names", "<IQ", 12)}
        self.threads = [self.thread(t) for t in self.list("threads", "<4I2Q4I", 48)]
        self.modules = [self.module(m) for m in self.list("modules", "<Q4I", 108)]

    def at(self, size, rva):
        assert rva + size <= len(self.data), "location outside the file"
        return self.data[rva:rva + size]

    def body(self, name):
        return self.at(*self.streams[name])

    def list(self, name, layout, size):
        body = self.body(name)
        count = struct.unpack_from("<I", body)[0]
        assert len(body) == 4 + count * size, f"{name}: {len(body)} bytes for {count} entries"
        return [struct.unpack_from(layout, body, 4 + i * size) for i in range(count)]

    def string(self, rva):
        size = struct.unpack_from("<I", self.data, rva)[0]
        return self.at(size, rva + 4).decode("utf-16-le")

    def context(self, size, rva):
        body = self.at(size, rva)
        assert size == 1232, f"context of {size} bytes"
        flags, = struct.unpack_from("<I", body, 48)
        assert flags & 0x10000f == 0x10000f or flags & 0x10000b == 0x10000b, hex(flags)
        return dict(zip(REGISTERS, struct.unpack_from("<17Q", body, 120)))

    def thread(self, t):
        return {"tid": t[0], "stack": (t[5], self.at(t[6], t[7])), "context": self.context(t[8], t[9]),
                "name": self.names.get(t[0])}

    def module(self, m):
        base, size, checksum, stamp, name = m
        rva = self.modules_entry(base)
        cv_size, cv_rva = struct.unpack_from("<2I", self.data, rva + 76)
        record = self.at(cv_size, cv_rva)
        assert not record or record[:4] == b"LEpB", record[:4]
        return {"base": base, "size": size, "name": self.string(name), "id": record[4:].hex()}

    def modules_entry(self, base):
        size, rva = self.streams["modules"]
        for at in range(rva + 4, rva + size, 108):
            if struct.unpack_from("<Q", self.data, at)[0] == base:
                return at
        raise AssertionError("module entry")

    def exception(self):
        body = self.body("exception")
        assert len(body) == 168
        tid, _, code, flags, _, address = struct.unpack_from("<4I2Q", body)
        return {"tid": tid, "code": code, "flags": struct.unpack("<i", struct.pack("<I", flags))[0],
                "address": address, "context": self.context(*struct.unpack_from("<2I", body, 160))}

    def misc(self):
        size, flags, pid, created = struct.unpack_from("<4I", self.body("misc"))
        return {"size": size, "flags": flags, "pid": pid, "created": created}

    def module_at(self, addr):
        for m in self.modules:
            if m["base"] <= addr < m["base"] + m["size"]:
                return m
        return None

    def read(self, addr, n):
        for start, data in self.regions:
            if start <= addr and addr + n <= start + len(data):
                return data[addr - start:addr - start + n]
        return None
