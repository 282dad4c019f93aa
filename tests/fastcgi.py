"""Asks a FastCGI program on its unix socket, without a web server between."""
import socket
import struct

BEGIN, PARAMS, STDIN, STDOUT = 1, 4, 5, 6
RESPONDER = struct.pack(">HB5x", 1, 0)
PIECE = 60000


def record(kind, data=b""):
    return struct.pack(">BBHHBB", 1, kind, 1, len(data), 0, 0) + data


def stream(kind, data):
    return b"".join(record(kind, data[i:i + PIECE]) for i in range(0, len(data), PIECE)) + record(kind)


def size(n):
    return bytes([n]) if n < 128 else struct.pack(">I", n | 0x80000000)


def pairs(env):
    out = b""
    for key, value in env.items():
        key, value = key.encode(), value.encode()
        out += size(len(key)) + size(len(value)) + key + value
    return out


def standard_output(data):
    out, at = b"", 0
    while at + 8 <= len(data):
        _, kind, _, n, pad, _ = struct.unpack(">BBHHBB", data[at:at + 8])
        if kind == STDOUT:
            out += data[at + 8:at + 8 + n]
        at += 8 + n + pad
    return out


def request(path_of_socket, method, path, body=b"", headers=None, **env):
    """(status, headers, body)"""
    env = {"REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": "", "REMOTE_ADDR": "127.0.0.1",
           "CONTENT_LENGTH": str(len(body)) if body else "", **env}
    for key, value in (headers or {}).items():
        key = key.upper().replace("-", "_")
        env[key if key == "CONTENT_TYPE" else "HTTP_" + key] = value
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(30)
        s.connect(str(path_of_socket))
        s.sendall(record(BEGIN, RESPONDER) + stream(PARAMS, pairs(env)) + stream(STDIN, body))
        data = b""
        while chunk := s.recv(65536):
            data += chunk
    head, _, body = standard_output(data).partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
    return int(headers["Status"].split()[0]), headers, body
