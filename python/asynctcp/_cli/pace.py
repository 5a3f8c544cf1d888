"""The slower side sets the pace: while a socket has much to take, what feeds it is not read from."""

from asynctcp import Socket, TcpBufferDrained, TcpBufferFull

HIGH, LOW = 256 * 1024, 64 * 1024  # bytes not taken: where reading pauses, and where it goes on


def limit(socket: Socket) -> None:
    """Have ``socket`` tell when it has much to take, and when little again."""
    socket.set_write_buffer_limits(HIGH, LOW)


def heed(condition: Exception, feeder: Socket) -> bool:
    """Read ``feeder`` no more, or again, if ``condition`` asks for it; return whether it did."""
    match condition:
        case TcpBufferFull():
            feeder.disable(read=True)
        case TcpBufferDrained():
            feeder.enable(read=True)
        case _:
            return False
    return True
