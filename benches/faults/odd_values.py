"""Every public function and method with odd arguments: an exception that the docs name, or none.

No panic, no exception of another kind, no descriptor left. The calls are those of tests/test_odd_values.py.
"""

import logging
import sys

from common import HERE, main, none_of

sys.path.insert(0, str(HERE.parents[1] / "tests"))

from helpers import Peers
from odd_values import Fuzzer, functions, methods


def measure(_server, n):
    logging.disable()  # conditions that nobody handles
    everything = {**functions(), **methods()}
    undocumented = left = panics = 0
    peers = Peers()
    try:
        for name, function in everything.items():
            wrong, open_descriptors = Fuzzer(name, peers).run(name, function, n)
            for (kind, *what), count in wrong.items():
                print(name, kind, *what, file=sys.stderr)
                panics += count * (kind == "PanicException")
            undocumented += wrong.total()
            left += len(open_descriptors)
    finally:
        peers.close()
    calls = n * len(everything)
    yield none_of("odd arguments: exceptions that no page names", calls, undocumented)
    yield none_of("odd arguments: panics", calls, panics)
    yield none_of("odd arguments: descriptors left", calls, left)


if __name__ == "__main__":
    main(measure, quick=50, full=1000)
