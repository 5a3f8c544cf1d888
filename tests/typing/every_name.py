"""Every public name, method and property as an app would use it, for ``mypy --strict``; it is never run."""

import array
import os
import socket as sockets
from typing import Literal, Unpack, assert_type

import asynctcp
from asynctcp import (
    AsyncIOStream,
    EventLoop,
    Idler,
    Notifier,
    Poller,
    ProxyHeader,
    ProxyInfo,
    Socket,
    TcpServer,
    Timer,
)
from asynctcp.typing import (
    Address,
    AnyReadCallback,
    AppErrorHandler,
    Callback,
    CloseCallback,
    ConnectCallback,
    ConnectOptions,
    Data,
    DnsCallback,
    EventCallback,
    FilePath,
    HasFileno,
    Network,
    Pem,
    PipePath,
    PollCallback,
    ProxyTls,
    ReadCallback,
    ReverseDnsCallback,
    Seconds,
    ServerOptions,
    SignalCallback,
    SocketOptions,
    StreamReadCallback,
    WriteCallback,
)


def on_read(socket: Socket, data: bytes) -> None:
    socket.write(data, read_cb=on_read, write_cb=on_write, event_cb=on_event, start=0, end=len(data))


def on_stream(socket: Socket, stream: AsyncIOStream) -> None:
    assert_type(stream.socket, Socket)
    assert_type(socket.stream, AsyncIOStream | None)
    assert_type(stream.read(10), bytes | None)
    assert_type(stream.readall(), bytes | None)
    assert_type(stream.readinto(bytearray(10)), int | None)
    try:
        assert_type(stream.readline(), bytes | None)
        assert_type(stream.readline(10, limit=20), bytes | None)
    except asynctcp.LineTooLong as error:
        assert_type(error.partial, bytes)
        assert_type(error.limit, int)
    assert_type(stream.peek(1), bytes | None)
    assert_type(stream.buffered, int)
    assert_type(stream.write(b"x"), int)
    stream.writelines([b"x"])
    stream.flush()
    assert_type(stream.readable() and stream.writable(), bool)
    assert_type(stream.fileno(), int)
    assert_type(stream.closed, bool)
    stream.close()
    AsyncIOStream(socket)


def on_either(socket: Socket, data: bytes | AsyncIOStream) -> None:
    socket.write(data if isinstance(data, bytes) else data.read() or b"")


def on_write(socket: Socket) -> None:
    asynctcp.write_socket_data(socket, "text")
    data: list[Data] = [b"x", bytearray(1), memoryview(b"x"), array.array("i", [1]), "x"]
    for one in data:
        socket.write(one)


class Session:
    name = ""


def on_session(socket: Socket[Session], data: bytes) -> None:
    assert_type(socket.data, Session)
    socket.data = Session()
    socket.data = data  # type: ignore[assignment]


def on_close(socket: Socket, reason: Exception | None) -> None:
    print(socket, reason)


def on_event(condition: Exception) -> None:
    if isinstance(condition, asynctcp.EventError):
        assert_type(asynctcp.event_errcode(condition), int)
        assert_type(asynctcp.event_errmsg(condition), str)
    if isinstance(condition, asynctcp.TcpInfo):
        assert_type(asynctcp.tcp_socket(condition), Socket | None)
        assert_type(condition.peer, str | None)
    if isinstance(condition, asynctcp.TcpAcceptError):
        assert_type(asynctcp.tcp_accept_error_server(condition), TcpServer | None)
        assert_type(asynctcp.tcp_accept_error_listener(condition), object)
    if isinstance(condition, asynctcp.TcpAppError):
        assert_type((condition.callback, condition.function), tuple[str, str | None])
    if isinstance(condition, asynctcp.DnsError):
        assert_type(condition.host, str)
    if isinstance(condition, asynctcp.TlsError):
        assert_type((condition.reason, condition.alert), tuple[str, str | None])
    if isinstance(condition, asynctcp.TlsCertificateError):
        assert_type(condition.verify_message, str)
    if isinstance(condition, asynctcp.EventInfo):
        asynctcp.default_event_handler(condition)


KINDS: list[type[asynctcp.TcpInfo]] = [
    asynctcp.SocketClosed,
    asynctcp.TcpAborted,
    asynctcp.TcpBrokenPipe,
    asynctcp.TcpBufferDrained,
    asynctcp.TcpBufferFull,
    asynctcp.TcpEof,
    asynctcp.TcpError,
    asynctcp.TcpRefused,
    asynctcp.TcpReset,
    asynctcp.TcpTimeout,
]


def use_a_socket(socket: Socket) -> None:
    assert_type(socket.closed, bool)
    assert_type(socket.server, TcpServer | None)
    assert_type(socket.peername, Address | str | None)
    assert_type(socket.sockname, Address | str | None)
    assert_type(socket.peercred, tuple[int, int, int] | None)
    assert_type(socket.c, sockets.socket | None)
    assert_type(socket.bytes_read + socket.bytes_written + socket.write_buffer_size, int)
    socket.data = {"anything": 1}
    asynctcp.socket_data(socket)
    socket.set_timeouts(1, None)
    socket.set_nodelay(True)
    socket.set_keepalive(True, idle=60, interval=10, count=3)
    socket.set_write_buffer_limits(high=65536, low=16384)
    socket.disable(read=True)
    socket.enable(read=True, write=True)
    socket.shutdown_write()
    assert_type(socket.fileno(), int)
    asynctcp.set_socket_timeouts(socket, 1.5, 2)
    asynctcp.disable_socket(socket, write=True)
    asynctcp.enable_socket(socket, write=True)
    assert_type(asynctcp.socket_c(socket), sockets.socket | None)
    if not asynctcp.socket_closed_p(socket):
        asynctcp.close_socket(socket, force=True)
    socket.set_callbacks(read_cb=on_read, write_cb=on_write, event_cb=on_event, connect_cb=None)
    socket.set_callbacks(close_cb=on_close)
    assert_type(socket.detach(), tuple[sockets.socket, bytes])
    socket.close(force=False)
    assert_type(socket.close_reason, asynctcp.TcpInfo | asynctcp.EventLoopError | None)


def connect() -> None:
    plain = asynctcp.tcp_connect(
        "localhost", 80, on_read, on_event, data=b"x", connect_cb=on_write, close_cb=on_close
    )
    assert_type(plain, Socket)
    use_a_socket(plain)
    assert_type(asynctcp.tcp_connect("::1", 80, on_stream, stream=True), AsyncIOStream)
    assert_type(asynctcp.tcp_send("::1", 80, None, read_timeout=1), Socket)
    waiting = asynctcp.init_tcp_socket(on_read, local_address=("127.0.0.1", 0), max_line=1000)
    assert_type(asynctcp.connect_tcp_socket(waiting, "127.0.0.1", 80, event_cb=on_event), Socket)
    stream = asynctcp.init_tcp_socket(on_stream, stream=True, dont_drain_read_buffer=True)
    assert_type(asynctcp.connect_tcp_socket(stream, "127.0.0.1", 80), AsyncIOStream)


def adopt(one: sockets.socket) -> None:
    assert_type(asynctcp.adopt_tcp_socket(one, on_read, on_event, connect_cb=on_write), Socket)
    assert_type(asynctcp.adopt_tcp_socket(3, on_stream, stream=True, close_cb=on_close), AsyncIOStream)
    options: SocketOptions = [(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 1), (1, 2, b"x")]
    asynctcp.tcp_connect("127.0.0.1", 80, on_read, sock=one, socket_options=options)
    asynctcp.tcp_server(None, 0, on_read, socket_options=options)


def pipe(path: PipePath) -> None:
    assert_type(asynctcp.pipe_connect(path, on_read), Socket)
    assert_type(asynctcp.pipe_connect(b"/run/x", on_stream, stream=True), AsyncIOStream)
    waiting = asynctcp.init_pipe_socket(on_read, close_cb=on_close)
    assert_type(asynctcp.connect_pipe_socket(waiting, "\0name", event_cb=on_event), Socket)
    assert_type(asynctcp.pipe_server(path, on_read, mode=0o660, unlink=False), asynctcp.Server)


def secure(socket: Socket, server: TcpServer, ca: FilePath, key: Pem) -> None:
    client = asynctcp.TlsConfig.client(
        ca_file=ca, key_data=key, alpn=["h2", b"http/1.1"], server_name="localhost"
    )
    own = asynctcp.TlsConfig.server("chain.pem", "key.pem", client_certs="optional", names={"other": client})
    asynctcp.tcp_connect("localhost", 443, on_read, tls=True)
    assert_type(asynctcp.tcp_connect("localhost", 443, on_read, tls=client), Socket)
    asynctcp.tcp_server(None, 443, on_read, tls=own, max_handshakes=100)
    socket.start_tls(client, server_side=False, server_name="localhost", connect_cb=on_write)
    assert_type(socket.tls, asynctcp.TlsInfo | None)
    server.reload_tls(own)
    try:
        asynctcp.TlsConfig.server()
    except asynctcp.TlsConfigError as error:
        assert_type(error, asynctcp.TlsConfigError)


def connect_by_flags(stream: bool, drain: bool) -> None:
    assert_type(asynctcp.tcp_connect("::1", 80, on_either, stream=stream), Socket | AsyncIOStream)
    assert_type(
        asynctcp.tcp_connect("::1", 80, on_read, stream=True, dont_drain_read_buffer=False), AsyncIOStream
    )
    assert_type(asynctcp.tcp_connect("::1", 80, on_stream, dont_drain_read_buffer=True), Socket)
    assert_type(asynctcp.init_tcp_socket(on_either, stream=stream), Socket | AsyncIOStream)
    asynctcp.tcp_server(None, 0, on_read, stream=True, dont_drain_read_buffer=False)
    asynctcp.tcp_server(None, 0, on_stream, dont_drain_read_buffer=True)
    asynctcp.tcp_server(None, 0, on_either, stream=stream, dont_drain_read_buffer=not drain)


def mistakes() -> None:
    """Each line is an error, or mypy would tell of an ignore that is not needed."""
    asynctcp.tcp_connect("::1", 80, on_read, stream=True)  # type: ignore[arg-type]
    asynctcp.tcp_connect("::1", 80, on_stream)  # type: ignore[arg-type]
    asynctcp.init_tcp_socket(on_stream, dont_drain_read_buffer=False)  # type: ignore[arg-type]
    asynctcp.tcp_server(None, 0, on_read, stream=True)  # type: ignore[arg-type]
    asynctcp.tcp_server(None, 0, on_stream)  # type: ignore[arg-type]
    asynctcp.delay(on_signal, 1)  # type: ignore[arg-type]


def dial(host: str, read_cb: ReadCallback, **options: Unpack[ConnectOptions]) -> Socket:
    asynctcp.init_tcp_socket(read_cb, **options)
    return asynctcp.tcp_connect(host, 80, read_cb, **options)


def listen(read_cb: StreamReadCallback, **options: Unpack[ServerOptions]) -> TcpServer:
    return asynctcp.tcp_server(None, 0, read_cb, stream=True, **options)


class Annotated:
    """The names of ``asynctcp.typing`` stand for functions as an app writes them."""

    read: ReadCallback = staticmethod(on_read)
    stream: StreamReadCallback = staticmethod(on_stream)
    either: AnyReadCallback = staticmethod(on_either)

    def __init__(self) -> None:
        self.connect: ConnectCallback = on_write
        self.write: WriteCallback = on_write
        self.event: EventCallback = on_event
        self.call: Callback = connect
        self.address: DnsCallback = on_address
        self.name: ReverseDnsCallback = on_name
        self.signal: SignalCallback = on_signal
        self.ready: PollCallback = on_ready
        self.file: HasFileno = sockets.socket()
        self.error: AppErrorHandler = print
        self.close: CloseCallback = on_close
        self.wait: Seconds = None


def serve() -> None:
    try:
        asynctcp.tcp_server(None, 0, on_session)
        server = asynctcp.tcp_server(
            None, 0, on_read, on_event, connect_cb=on_write, backlog=-1, reuse_port=True, max_connections=10
        )
    except asynctcp.TcpServerBindError as error:
        assert_type((error.address, error.port), tuple[str | bytes | os.PathLike[str] | None, int | None])
        return
    assert_type(server, TcpServer)
    assert_type(server.address, Address | str)
    assert_type(server.addresses, list[Address | str])
    assert_type((server.host, server.port), tuple[str, int])
    assert_type(server.connections, int)
    assert_type(server.sockets, list[Socket])
    with server as same:
        assert_type(same, TcpServer)
    assert_type(server.closed, bool)
    server.close()
    asynctcp.close_tcp_server(server)


def behind_a_balancer(networks: list[Network]) -> TcpServer:
    return asynctcp.tcp_server(
        None,
        0,
        None,
        on_event,
        connect_cb=on_client,
        proxy_protocol="accept",
        proxy_from=networks,
        proxy_timeout=1,
    )


def on_client(socket: Socket) -> None:
    assert_type(socket.transport_peername, Address | str | None)
    info = socket.proxy
    assert_type(info, ProxyInfo | None)
    if info is not None:
        assert_type((info.version, info.local), tuple[int, bool])
        assert_type((info.source, info.destination), tuple[Address | str | None, Address | str | None])
        assert_type((info.authority, info.alpn), tuple[str | None, str | None])
        assert_type((info.unique_id, info.tlvs), tuple[bytes | None, dict[int, bytes]])
        assert_type(info.tls, ProxyTls | None)
        if info.tls is not None:
            assert_type((info.tls["cn"], info.tls["verified"]), tuple[str | None, bool])
    header = ProxyHeader.of(socket, version=1)
    assert_type(header, ProxyHeader)
    assert_type((header.source, header.version), tuple[Address | str | None, int])
    header = ProxyHeader(("192.0.2.1", 1), ("192.0.2.2", 2), tlvs={2: "example.org"})
    assert_type((header.destination, header.tlvs), tuple[Address | str | None, dict[int, bytes]])
    assert_type(bytes(header), bytes)
    asynctcp.tcp_connect("localhost", 1, None, send_proxy=header)


def on_refused(condition: asynctcp.ProxyError) -> None:
    assert_type(condition.reason, str)


def on_address(address: str, family: int) -> None:
    asynctcp.reverse_dns_lookup(address, on_name, port=family, event_cb=on_event)


def on_name(host: str, service: str) -> None:
    print(host, service)


def on_ready(poller: Poller, word: Literal["readable", "writable"]) -> None:
    print(poller.callback, poller.event_cb, word)


def on_signal(signum: int) -> None:
    asynctcp.free_signal_handler(signum)


def time_and_wake() -> None:
    timer = asynctcp.delay(connect, 1, event_cb=on_event)
    assert_type(timer, Timer)
    timer.unref()
    timer.ref()
    timer.cancel()
    assert_type(timer.cancelled, bool)
    beat = asynctcp.interval(serve, 0.5)
    beat()
    asynctcp.remove_interval(beat)

    @asynctcp.with_delay(1)
    def once() -> None: ...

    @asynctcp.with_interval(2)
    def often() -> None: ...

    assert_type((once, often), tuple[Timer, Timer])
    notifier = asynctcp.make_notifier(connect, event_cb=on_event)
    assert_type(notifier, Notifier)
    assert_type(notifier.trigger() and asynctcp.trigger_notifier(notifier), bool)
    notifier.unref()
    notifier.ref()
    notifier.free()
    assert_type(notifier.freed, bool)
    asynctcp.free_notifier(notifier)
    with (
        sockets.socket() as raw,
        asynctcp.poll(
            raw, on_ready, poll_for=("readable", "writable"), timeout=1, event_cb=on_event
        ) as poller,
    ):
        assert_type(poller, Poller)
        assert_type((poller.fd, poller.timeout, poller.freed), tuple[int, float | None, bool])
        assert_type(poller.poll_for, tuple[Literal["readable", "writable"], ...])
    asynctcp.free_poller(asynctcp.poll(0, on_ready))
    idler = asynctcp.idle(connect, event_cb=on_event)
    assert_type(idler, Idler)
    idler.free()
    asynctcp.free_idler(idler)
    asynctcp.signal_handler(15, on_signal, event_cb=on_event)
    asynctcp.clear_signal_handlers()
    asynctcp.dns_lookup("localhost", on_address, event_cb=on_event, family=sockets.AF_INET)


def start() -> None:
    loop = asynctcp.current_event_loop()
    assert_type(loop, EventLoop)
    loop.call_soon_threadsafe(print, "from any thread")
    loop.set_busy_poll(0.00005)
    asynctcp.add_event_loop_exit_callback(serve)
    asynctcp.set_default_event_handler(on_event)
    asynctcp.set_default_event_handler(None)
    print(asynctcp.stats()["timers"], loop.stats())
    asynctcp.exit_event_loop()


def main() -> None:
    asynctcp.start_event_loop(start, catch_app_errors=True)
    with asynctcp.event_loop(catch_app_errors=print, send_errors_to_event_cb=False) as loop:
        assert_type(loop, EventLoop)
    ours = EventLoop(io_threads=1, read_limit=65536, memory_limit=1 << 20, debug=True)
    try:
        ours.run(start)
        assert_type(ours.fileno(), int)
        assert_type(ours.pump(timeout=None), int)
    except asynctcp.EventLoopError as error:
        print(error, asynctcp.__version__)
    ours.exit()
    condition = asynctcp.condition_from_errno(104, "connection reset")
    assert_type(condition, asynctcp.TcpError)
