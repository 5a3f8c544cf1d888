"""Stream transports: what is not done for each message."""

import asyncio
import warnings
from asyncio import constants, transports
from asyncio.log import logger
from typing import Any, ClassVar

from asynctcp import _core
from asynctcp.aio._linger import Lingering
from asynctcp.aio._server import KNOWS_CLIENTS
from asynctcp.aio._written import TransportSocket


class _Transport(transports._FlowControlMixin, asyncio.Transport):
    """What ``isinstance`` finds: a native class cannot inherit from asyncio's, which has its own slots.

    asyncio's ``sendfile`` of what has no descriptor wants the mixin, and what it says of pausing.
    """


class Inherited:
    """A method of an asyncio class's, as if by inheritance: programs' tests put others in its place."""

    def __init__(self, base: type) -> None:
        self._base = base

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        found = getattr(self._base, self._name)
        return found.__get__(instance, owner) if hasattr(found, "__get__") else found


class Common:
    """What transports of all kinds have, beside what is native."""

    _sock: Any
    _sock_fd: int
    _loop: Any
    _registered: Any
    _unsent: Any
    _force_close: Any
    is_closing: Any
    get_protocol: Any

    _protocol_paused = False

    def __repr__(self) -> str:
        words = [type(self).__name__]
        if self._sock is None:
            words.append("closed")
        elif self.is_closing():
            words.append("closing")
        words.append(f"fd={self._sock_fd}")
        if self._loop is not None and not self._loop.is_closed():
            reads, writes = ("polling" if it else "idle" for it in self._registered())
            words += [f"read={reads}", f"write=<{writes}, bufsize={self._unsent()}>"]
        return f"<{' '.join(words)}>"

    def __del__(self) -> None:
        sock = self._sock
        if sock is not None:
            warnings.warn(f"unclosed transport {self!r}", ResourceWarning, stacklevel=2, source=self)
            sock.close()

    def _tell_protocol(self, name: str) -> None:
        """Call ``pause_writing`` or ``resume_writing``."""
        self._protocol_paused = name == "pause_writing"
        protocol = self.get_protocol()
        try:
            getattr(protocol, name)()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:  # noqa: BLE001 - whatever it is, asyncio's handler is told
            self._report(f"protocol.{name}() failed", exc)

    def _fatal_error(self, exc: BaseException, message: str = "Fatal error on transport") -> None:
        if not isinstance(exc, OSError):
            self._report(message, exc)
        elif self._loop.get_debug():
            logger.debug("%r: %s", self, message, exc_info=exc)
        self._force_close(exc)

    def _report(self, message: str, exc: BaseException) -> None:
        self._loop.call_exception_handler(
            {"message": message, "exception": exc, "transport": self, "protocol": self.get_protocol()}
        )


class Transport(Common, _core.StreamTransport):
    """A TCP or Unix connection of an asyncio protocol, as ``asyncio.Transport``."""

    _start_tls_compatible: ClassVar[bool] = True
    _sendfile_compatible: ClassVar[Any] = constants._SendfileMode.TRY_NATIVE

    get_extra_info: ClassVar[Any] = Inherited(asyncio.Transport)

    @property  # type: ignore[misc]
    def __class__(self) -> type[asyncio.Transport]:  # type: ignore[override]
        return _Transport

    @property
    def _read_ready_cb(self) -> Any:
        """What is done when there is something to receive; asyncio's tests ask for it."""
        return self._on_ready

    def __del__(self) -> None:
        if self._sock is None:
            return
        server = self._collected()
        super().__del__()
        # CPython 3.11's own leaves the server waiting for it.
        if server is not None:
            self._detach(server)

    def _log(self, what: str) -> None:
        logger.debug("%r " + what, self)

    def _attach(self, server: Any) -> None:
        try:
            server._attach(*self._named())
        except BaseException:
            # It was closed meanwhile, and does not count this one.
            self._take_server()
            raise

    def _detach(self, server: Any) -> None:
        server._detach(*self._named())

    def _linger(self, loop: Any, sock: Any) -> None:
        """Close it once the peer has received all."""
        try:
            twin = sock.dup()
        except OSError:  # there are too many descriptors
            twin = None
        sock.close()
        if twin is not None:
            Lingering(loop, twin)

    def _named(self) -> tuple[Any, ...]:
        return (self,) if KNOWS_CLIENTS else ()


def extra_of(loop: Any, sock: Any, extra: dict[str, Any] | None) -> dict[str, Any]:
    """Return what ``get_extra_info`` knows of a connected socket."""
    extra = dict(extra) if extra else {}
    extra["socket"] = TransportSocket(sock, loop)
    for name, ask in (("sockname", sock.getsockname), ("peername", sock.getpeername)):
        if name == "sockname" or name not in extra:
            try:
                extra[name] = ask()
            except OSError:
                extra[name] = None
    return extra
