"""A FastAPI app: ``/`` greets, ``/slow?file=…`` takes until the file is there, ``/echo`` is a websocket."""

import asyncio
import contextlib

from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import PlainTextResponse, StreamingResponse

import _app


@contextlib.asynccontextmanager
async def lifespan(_):
    print("loop", type(asyncio.get_running_loop()).__module__.partition(".")[0], flush=True)
    yield
    print("ended", flush=True)


app = FastAPI(lifespan=lifespan)


@app.get("/")
async def greet():
    return {"hello": "world"}


@app.get("/in-a-thread")
def greet_in_a_thread():
    return {"hello": "thread"}


@app.get("/slow", response_class=PlainTextResponse)
async def slow(file: str):
    return await _app.released(file)


@app.post("/upload", response_class=PlainTextResponse)
async def upload(request: Request):
    size = 0
    async for piece in request.stream():
        size += len(piece)
    return str(size)


@app.get("/download")
async def download(pieces: int):
    async def body():
        for number in range(pieces):
            yield bytes([number % 256]) * 65536

    return StreamingResponse(body())


@app.websocket("/echo")
async def echo(socket: WebSocket):
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text(text.upper())
