"""TLS transports, by an ``ssl.SSLContext`` or a ``TlsConfig``: what is not done for each message.

The machine is asyncio's ``sslproto``, native; so are the messages that it logs and the texts of its errors.
"""

import asyncio
import contextlib
import ssl
import warnings
from asyncio import constants, sslproto, transports
from asyncio.log import logger
from collections.abc import Callable
from typing import Any, ClassVar

from asynctcp import _core
from asynctcp._tls import TlsConfig
from asynctcp.aio import _tls_errors, _tls_info
from asynctcp.aio._transport import Transport

_CONNECTION_MADE = sslproto.SSLProtocol.connection_made


class _SSLProtocolTransport(transports._FlowControlMixin, asyncio.Transport):
    """What ``isinstance`` finds: a native class cannot inherit from asyncio's, which has its own slots."""


class TlsTransport(_core.TlsTransport):
    """A connection over TLS, as ``asyncio.Transport``; for the transport below it is the protocol."""

    _start_tls_compatible: ClassVar[bool] = True
    _sendfile_compatible: ClassVar[Any] = constants._SendfileMode.FALLBACK
    _began = 0.0

    @property  # type: ignore[misc]
    def __class__(self) -> type[asyncio.Transport]:  # type: ignore[override]
        return _SSLProtocolTransport

    @property
    def _ssl_protocol(self) -> Any:
        """What asyncio has two objects for."""
        return self

    @property
    def _app_transport(self) -> Any:
        """What asyncio has two objects for."""
        return self

    @property
    def _sslcontext(self) -> Any:
        return self._known().get("sslcontext")

    def _known(self) -> dict[str, Any]:
        return self._extra or {}

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what is known by that name, as ``asyncio.BaseTransport``; also ``"tls"``."""
        extra = self._known()
        if name in _tls_info.NAMES and name not in extra and (info := self._info()) is not None:
            extra.update(_tls_info.described(info, extra["sslcontext"]))
        if name in extra:
            return extra[name]
        below = self._transport
        return default if below is None else below.get_extra_info(name, default)

    def _forget(self) -> None:
        """It was closed twice: a context and its session are not kept by whoever keeps the transport."""
        if isinstance(self._sslcontext, ssl.SSLContext):
            extra = self._known()
            extra["sslcontext"] = extra["ssl_object"] = None

    def write_eof(self) -> None:
        """Raise ``NotImplementedError``, as asyncio's transports over TLS."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<TlsTransport {self._phase} over {self._transport!r}>"

    def __del__(self) -> None:
        if not self._is_closed:
            message = "unclosed transport <asynctcp.aio TlsTransport>"
            warnings.warn(message, ResourceWarning, stacklevel=2, source=self)

    # What the machine calls.

    def _handshake_begins(self) -> None:
        """Log it; in debug mode only."""
        logger.debug("%r starts SSL handshake", self)
        self._began = self._loop.time()

    def _handshake_done(self) -> None:
        sslobj = self._sslobj
        if sslobj is not None:
            self._known().update(
                peercert=sslobj.getpeercert(),
                cipher=sslobj.cipher(),
                compression=sslobj.compression(),
                ssl_object=sslobj,
            )
        if self._loop.get_debug():
            logger.debug("%r: SSL handshake took %.1f ms", self, (self._loop.time() - self._began) * 1e3)

    def _handshake_failed(self, exc: BaseException) -> None:
        refused = isinstance(exc, ssl.CertificateError)
        why = " on verifying the certificate" if refused else ""
        self._fatal_error(exc, f"SSL handshake failed{why}")

    def _check_handshake_timeout(self) -> None:
        limit = f"longer than {self._handshake_limit} seconds"
        message = f"SSL handshake is taking {limit}: aborting the connection"
        late = ConnectionAbortedError if self._sslobj is not None else _tls_errors.late
        self._fatal_error(late(message))

    def _check_shutdown_timeout(self) -> None:
        self._transport._force_close(TimeoutError("SSL shutdown timed out"))

    def _tell_protocol(self, name: str) -> None:
        """Call ``pause_writing`` or ``resume_writing``."""
        try:
            getattr(self._app_protocol, name)()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:  # noqa: BLE001 - whatever it is, asyncio's handler is told
            self._report(f"protocol.{name}() failed", exc, self)

    def _fatal_error(self, exc: BaseException, message: str = "Fatal error on transport") -> None:
        below = self._transport
        if below is not None:
            self._send_before()
            below._force_close(exc)
        if isinstance(exc, OSError):
            if self._loop.get_debug():
                logger.debug("%r: %s", self, message, exc_info=exc)
        elif not isinstance(exc, asyncio.CancelledError):
            self._report(message, exc, below)

    def _report(self, message: str, exc: BaseException, transport: Any) -> None:
        self._loop.call_exception_handler(
            {"message": message, "exception": exc, "transport": transport, "protocol": self}
        )

    def _debug(self, message: str, *args: object) -> None:
        logger.debug(message, *args)

    def _warn_of_half_open(self) -> None:
        logger.warning("returning true from eof_received() has no effect when using ssl")

    def _warn_of_writes(self) -> None:
        logger.warning("SSL connection is closed")


def secure(
    loop: Any,
    protocol: asyncio.BaseProtocol,
    config: Any,
    waiter: asyncio.Future[None] | None,
    *,
    server_side: bool = False,
    server_hostname: str | None = None,
    peername: Callable[[], Any],
    call_connection_made: bool = True,
    ssl_handshake_timeout: float | None = None,
    ssl_shutdown_timeout: float | None = None,
) -> TlsTransport:
    """Return a transport whose handshake begins when the transport below calls ``connection_made``."""
    _check_limit("ssl_handshake_timeout", ssl_handshake_timeout)
    _check_limit("ssl_shutdown_timeout", ssl_shutdown_timeout)
    limit = ssl_handshake_timeout
    engine: tuple[Any, ...]
    if isinstance(config, TlsConfig):
        check_role(config, server_side=server_side)
        name = "" if server_side else server_hostname or config._context.server_name or _host(peername)
        engine = (config._context, name)
        limit = config._context.handshake_limit if limit is None else limit
    else:
        config = config or sslproto._create_transport_context(server_side, server_hostname)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        sslobj = config.wrap_bio(
            incoming,
            outgoing,
            server_side=server_side,
            server_hostname=None if server_side else server_hostname or None,
        )
        engine = (sslobj, incoming, outgoing)
        limit = constants.SSL_HANDSHAKE_TIMEOUT if limit is None else limit
    if ssl_shutdown_timeout is None:
        ssl_shutdown_timeout = constants.SSL_SHUTDOWN_TIMEOUT
    limits = (limit, ssl_shutdown_timeout)
    return TlsTransport(
        loop, protocol, waiter, engine, not call_connection_made, limits, {"sslcontext": config}
    )


def _check_limit(name: str, limit: float | None) -> None:
    if limit is not None and limit <= 0:
        raise ValueError(f"{name} should be a positive number, got {limit}")


def _host(ask: Callable[[], Any]) -> str:
    """Whom a certificate is to be for where nobody says: the address."""
    with contextlib.suppress(OSError):
        peername = ask()
        if isinstance(peername, tuple):
            return str(peername[0])
    raise ValueError("server_hostname is needed: the peer has no address that a certificate can be for")


def check_role(config: TlsConfig, *, server_side: bool) -> None:
    """Raise ``TypeError`` for a client's config where a server's is wanted, and the other way round."""
    role = "server" if server_side else "client"
    if config._context.role != role:
        raise TypeError(f"ssl must be a TlsConfig.{role}(...) here, not a {config._context.role}'s")


def _check_context(given: object) -> None:
    """Raise ``TypeError`` at the call for what asyncio finds out of when there is a connection."""
    if given and not isinstance(given, (bool, TlsConfig)) and not hasattr(given, "wrap_bio"):
        kind = type(given).__name__
        raise TypeError(f"ssl argument must be an SSLContext or None, or a TlsConfig, not {kind}")


def server_options(options: dict[str, Any]) -> dict[str, Any]:
    """Check the keywords of a server."""
    _check_context(options.get("ssl"))
    if isinstance(options.get("ssl"), TlsConfig):
        check_role(options["ssl"], server_side=True)
    return options


def client_options(options: dict[str, Any]) -> dict[str, Any]:
    """Check the keywords of a client, and give it the name that its ``TlsConfig`` has."""
    config = options.get("ssl")
    _check_context(config)
    if isinstance(config, TlsConfig):
        check_role(config, server_side=False)
        if options.get("server_hostname") is None and config._context.server_name is not None:
            options["server_hostname"] = config._context.server_name
    return options


def is_replaced() -> bool:
    """Whether a program has put something in the place of asyncio's own, as tests do: then that is used."""
    return sslproto.SSLProtocol.connection_made is not _CONNECTION_MADE


def is_native(transport: Any, config: Any) -> bool:
    """Whether ``start_tls`` over this transport is native: over ours, and by a ``TlsConfig`` over any.

    Raises ``TypeError`` where it cannot be.
    """
    if not isinstance(config, TlsConfig):
        return type(transport) is Transport and isinstance(config, ssl.SSLContext)
    if not getattr(transport, "_start_tls_compatible", False):
        raise TypeError(f"transport {transport!r} is not supported by start_tls()")
    return True


async def upgrade(
    loop: Any, transport: Any, protocol: Any, config: Any, *, server_side: bool, **options: Any
) -> TlsTransport | None:
    """Put TLS over a transport, as asyncio's ``start_tls``; returns what the protocol is to use."""
    waiter: asyncio.Future[None] | None = loop.create_future()
    secured = secure(
        loop,
        protocol,
        config,
        waiter,
        server_side=server_side,
        peername=lambda: transport.get_extra_info("peername"),
        call_connection_made=False,
        **options,
    )
    if server_side or isinstance(secured._sslcontext, TlsConfig):
        _move_unread(protocol, secured)
    # Nothing is received before the handshake may begin.
    transport.pause_reading()
    transport.set_protocol(secured)
    begin = loop.call_soon(secured.connection_made, transport)
    resume = loop.call_soon(transport.resume_reading)
    try:
        await waiter  # type: ignore[misc]
    except BaseException:
        transport.close()
        begin.cancel()
        resume.cancel()
        # Else it has the exception, which has this frame.
        waiter = None
        raise
    # As asyncio's: a connection that was closed before is told by None.
    return None if secured._transport is None else secured


def _move_unread(protocol: Any, secured: TlsTransport) -> None:
    """What a stream has not read is the session's: it is never taken for what comes over that."""
    if isinstance(protocol, _core.StreamProtocol):
        secured._feed_unread(protocol._reader)
        return
    reader = getattr(protocol, "_stream_reader", None)
    if isinstance(protocol, asyncio.StreamReaderProtocol) and reader is not None:
        secured._feed(bytes(reader._buffer))
        reader._buffer.clear()
        reader._maybe_resume_transport()
