"""What a call that sets a socket option raises where the value cannot be."""


class OptionError(OSError, ValueError):
    """A value that a socket option cannot have.

    A ``ValueError``, as of any argument that is checked at the call, and the ``OSError`` (``EINVAL``) that
    the system would answer, so that code written for either finds it.
    """
