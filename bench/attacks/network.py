"""Attacks that reach another program by a socket of any kind."""

from bench.attacks.attack import Attack

CODE = """
import socket

def stream(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(0.5)
        client.connect(address)
        return client.send(b"x") == 1

def datagram(family, address):
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        return client.sendto(b"x", address) == 1

def pair(address):
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    return one.sendto(b"x", address) == 1

def reconnected_pair(address):
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    one.connect(address)
    return one.send(b"x") == 1

def bound_pair(address):
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return True

def message(address):
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    return one.sendmsg([b"x"], [], 0, address) == 1

def listen():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1] > 0

def listen_by_path():
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("own")
        server.listen()
        return True

def made(*kind):
    socket.socket(*kind).close()
    return True

def resolve(name):
    import ipaddress
    found = {ipaddress.ip_address(each[4][0]) for each in socket.getaddrinfo(name, 80)}
    return any(each.is_global for each in found)  # a made-up answer is none

def by_asyncio(port):
    import asyncio
    async def dial():
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        return True
    return asyncio.run(dial())

def by_http(port):
    import http.client
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=0.5)
    client.request("GET", "/")
    return True

def raw(number, *rest):
    import ctypes, os
    libc = ctypes.CDLL(None, use_errno=True)
    result = libc.syscall(number, *rest)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result

def raw_stream(number, port):
    with socket.socket(fileno=raw(number, 2, 1, 0)) as client:
        client.connect(("127.0.0.1", port))
        return True
"""
# Sets a ring up by hand and lets the kernel's own thread make the socket, past the filter.
RING = """
import ctypes, mmap, os, struct
libc = ctypes.CDLL(None, use_errno=True)
SOCKET, SUBMISSION, COMPLETION, ENTRIES = 45, 0, 0x8000000, 0x10000000

def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result

def by_ring(setup, enter):
    parameters = ctypes.create_string_buffer(120)
    ring = checked(libc.syscall(setup, 4, parameters))
    offsets = struct.unpack("20I", parameters.raw[40:120])
    tail, array, head_done, tail_done, entries = (
        offsets[1], offsets[6], offsets[10], offsets[11], offsets[15])
    queue = mmap.mmap(ring, 4096, offset=SUBMISSION)
    work = mmap.mmap(ring, 4 * 64, offset=ENTRIES)
    work[:64] = struct.pack("<BBHiQQIIQHHIQQ", SOCKET, 0, 0, 2, 1, 0, 0, 0, 7, 0, 0, 0, 0, 0)
    queue[array:array + 4] = struct.pack("<I", 0)
    queue[tail:tail + 4] = struct.pack("<I", 1)
    checked(libc.syscall(enter, ring, 1, 1, 1, None, 0))
    result = struct.unpack("<i", queue[entries + 8:entries + 12])[0]
    if result < 0:
        raise OSError(-result, os.strerror(-result))
    return os.readlink(f"/proc/self/fd/{result}").startswith("socket:")
"""


def _reach(name: str, tries: str, call: str, needs: str = "", code: str = CODE) -> Attack:
    return Attack(name, "network", tries, code, (call,), needs=needs)


ATTACKS = (
    _reach("tcp", "connect to a port of this machine",
           "stream(socket.AF_INET, ('127.0.0.1', {tcp}))"),
    _reach("udp", "send a datagram to a port", "datagram(socket.AF_INET, ('127.0.0.1', {udp}))"),
    _reach("unix_stream", "connect to a socket by its path",
           "stream(socket.AF_UNIX, {stream!r})"),
    _reach("unix_datagram", "send a datagram to a socket's path",
           "datagram(socket.AF_UNIX, {dgram!r})"),
    _reach("abstract", "send a datagram to an abstract socket",
           "datagram(socket.AF_UNIX, {abstract!r})"),
    _reach("pair_path", "send from a pair to a socket's path", "pair({dgram!r})"),
    _reach("pair_abstract", "send from a pair to an abstract socket", "pair({abstract!r})"),
    _reach("pair_message", "send by sendmsg from a pair to a path", "message({dgram!r})"),
    _reach("pair_connected", "connect one end of a pair elsewhere", "reconnected_pair({dgram!r})"),
    _reach("pair_packets", "make a pair of packet sockets", "bound_pair(None)"),
    _reach("resolve", "ask the name service", "resolve('example.org')",
           needs="a name service that answers"),
    _reach("listen", "listen on a port", "listen()"),
    _reach("listen_by_path", "listen on a socket in its own folder", "listen_by_path()"),
    _reach("raw", "make a raw socket", "made(socket.AF_INET, socket.SOCK_RAW, 1)", needs="root"),
    _reach("packet", "read every packet of this machine",
           "made(socket.AF_PACKET, socket.SOCK_RAW, 768)", needs="root"),
    _reach("netlink", "ask the kernel for the network's addresses",
           "made(socket.AF_NETLINK, socket.SOCK_RAW, 0)"),
    _reach("vsock", "make a socket to the machine's host",
           "made(socket.AF_VSOCK, socket.SOCK_STREAM)", needs="vsock in the kernel"),
    _reach("kernel_crypto", "make a socket to the kernel's ciphers",
           "made(socket.AF_ALG, socket.SOCK_SEQPACKET)", needs="AF_ALG in the kernel"),
    _reach("asyncio", "connect by asyncio", "by_asyncio({tcp})"),
    _reach("http", "send a web request", "by_http({tcp})"),
    _reach("system_call", "make a socket by the bare system call",
           "raw_stream({sys_socket}, {tcp})"),
    _reach("io_uring", "let io_uring make a socket",
           "by_ring({sys_io_uring_setup}, {sys_io_uring_enter})", code=RING,
           needs="io_uring, Linux 5.19 or later"),
)  # fmt: skip
