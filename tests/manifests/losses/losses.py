"""The ways in which an application in Python loses the trace context, and the fixes: docs/broken-trace.md shows these lines.

    losses.py ADDRESS     calls ADDRESS/NAME for each of them, while it serves the request of the context in TRACEPARENT
"""

import asyncio
import contextlib
import contextvars
import os
import queue
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import requests
from opentelemetry import trace
from opentelemetry.context import attach, detach
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.propagate import extract, inject
from opentelemetry.sdk.trace import TracerProvider

trace.set_tracer_provider(TracerProvider())
tracer = trace.get_tracer("test")


def url(name):
    return f"{sys.argv[1]}/{name}"


@contextlib.contextmanager
def serving():
    """What a framework's instrumentation does with an incoming request."""
    token = attach(extract({"traceparent": os.environ["TRACEPARENT"]}))
    with tracer.start_as_current_span("request"):
        yield
    detach(token)


with serving():
    requests.get(url("client-broken"))

RequestsInstrumentor().instrument()

with serving():
    requests.get(url("client-fixed"))

with ThreadPoolExecutor() as pool, serving():
    pool.submit(requests.get, url("threads-broken"))
    pool.submit(contextvars.copy_context().run, requests.get, url("threads-fixed"))


async def handle():
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, requests.get, url("asyncio-broken"))
    await asyncio.to_thread(requests.get, url("asyncio-fixed"))


with serving():
    asyncio.run(handle())

# A worker that was started before any request came; it is the same with the consumer of a message queue.
jobs = queue.Queue()


def worker():
    while message := jobs.get():
        if "headers" in message:
            with tracer.start_as_current_span("job", context=extract(message["headers"])):
                requests.get(message["url"])
        else:
            requests.get(message["url"])


thread = threading.Thread(target=worker)
thread.start()
with serving():
    jobs.put({"url": url("queue-broken")})
    headers = {}
    inject(headers)
    jobs.put({"url": url("queue-fixed"), "headers": headers})
jobs.put(None)
thread.join()
