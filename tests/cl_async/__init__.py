"""What cl-async's own test suite asks of it, asked of asynctcp.

Each test's docstring names the cl-async test whose behaviour it asks for, and says where asynctcp answers
otherwise on purpose (docs/differences.md). Fixed ports became port 0, fixed pauses became conditions to wait
for, and names and addresses of the internet became those of loopback.

Left out is what asynctcp has no name for: its tests of files and file events, pipes, processes, idlers,
pollers, HTTP and TLS; and those of foreign memory, but for what an app can see of it (``test_registry.py``).
"""
