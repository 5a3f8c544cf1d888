"""Types of plain values, for the modules whose classes `asynctcp.typing` names."""

import os
from typing import TypeAlias

Address: TypeAlias = tuple[str, int] | tuple[str, int, int, int]
FilePath: TypeAlias = str | bytes | os.PathLike[str] | os.PathLike[bytes]
Pem: TypeAlias = str | bytes
