"""A FastAPI app under uvicorn, on this library's event loop.

    pip install fastapi uvicorn
    python examples/aio/fastapi_app.py --port 8000
    curl http://127.0.0.1:8000/hello/world

From the command line the loop is an option: ``uvicorn fastapi_app:app --loop asynctcp.aio:new_event_loop``.
SIGTERM and Ctrl-C end it once the requests on their way are answered.
"""

import argparse
import asyncio

import uvicorn
from fastapi import FastAPI

app = FastAPI()


@app.get("/hello/{name}")
async def hello(name: str, delay: float = 0.0) -> dict[str, str]:
    """Greet, after ``delay`` seconds if that is asked for."""
    await asyncio.sleep(min(delay, 10.0))
    return {"hello": name, "loop": type(asyncio.get_running_loop()).__module__}


def main() -> None:
    """Serve until a signal ends it."""
    parser = argparse.ArgumentParser(description="A FastAPI app on asynctcp's event loop.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="port, 0 for any free one (%(default)s)")
    options = parser.parse_args()
    uvicorn.run(app, host=options.host, port=options.port, loop="asynctcp.aio:new_event_loop")


if __name__ == "__main__":
    main()
