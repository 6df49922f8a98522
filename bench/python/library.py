"""Python's prometheus_client in its multiprocess mode, for the comparison.

    library.py make DIR PROCESSES   an application: it forks PROCESSES processes, which leave two files each
    library.py page DIR             its page, once, to standard output
    library.py scrape DIR           says its version, then answers each line of standard input with the seconds that a page takes

Each process uses every series, in its own order. All numbers are multiples of
1/1024, so that sums are the same in whatever order they are added.
"""

import os
import platform
import random
import sys
import time
from importlib.metadata import version

COMMAND, DIRECTORY = sys.argv[1:3]
# The library asks once, when it is imported.
os.environ['PROMETHEUS_MULTIPROC_DIR'] = DIRECTORY

import prometheus_client as prometheus  # noqa: E402
from prometheus_client.multiprocess import MultiProcessCollector  # noqa: E402

ROUTES = [(method, f'/api/v1/{thing}{rest}') for thing in ('projects', 'users', 'orders', 'invoices', 'reports')
          for method, rest in (('GET', ''), ('POST', ''), ('GET', '/<int:id>'), ('DELETE', '/<int:id>'))]


def make(processes):
    """20 routes: 15 buckets and a sum each, and three counters. 380 entries."""
    latency = prometheus.Histogram('http_request_duration_seconds', 'Time to answer a request.', ['method', 'path'])
    requests = prometheus.Counter('http_requests', 'Requests by status.', ['method', 'path', 'status'])
    sent = prometheus.Counter('http_response_bytes', 'Bytes of bodies sent.', ['method', 'path'])
    running = 0
    for seed in range(processes):
        if running == os.cpu_count():
            reap()
            running -= 1
        running += 1
        if os.fork():
            continue
        status = 1
        try:
            rng = random.Random(seed)
            for route in rng.sample(ROUTES, len(ROUTES)):
                latency.labels(*route).observe(rng.randrange(1, 12 << 10) / 1024)
                requests.labels(*route, '200').inc(rng.randrange(1, 100_000))
                requests.labels(*route, '500').inc(rng.randrange(1, 100))
                sent.labels(*route).inc(rng.randrange(1, 1 << 30))
            status = 0
        finally:
            os._exit(status)
    while running:
        reap()
        running -= 1


def reap():
    if os.wait()[1]:
        sys.exit('a process has failed')


def page():
    """As the library's documentation has it."""
    registry = prometheus.CollectorRegistry()
    MultiProcessCollector(registry)
    return prometheus.generate_latest(registry)


def scrape():
    print('prometheus_client', version('prometheus_client'), 'Python', platform.python_version(), flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        page()
        print(time.perf_counter() - start, flush=True)


if COMMAND == 'make':
    make(int(sys.argv[3]))
elif COMMAND == 'page':
    sys.stdout.buffer.write(page())
else:
    scrape()
