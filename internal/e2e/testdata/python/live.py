"""live.py DIR: an application with live gauges, of the real prometheus_client.

It forks two workers, each of which sets a gauge in every live mode and counts
once. Prints their process ids on one line, and ends when its input does.
"""

import os
import sys

DIRECTORY = sys.argv[1]
os.environ['PROMETHEUS_MULTIPROC_DIR'] = DIRECTORY

import prometheus_client as prometheus  # noqa: E402

modes = sorted(mode for mode in prometheus.Gauge._MULTIPROC_MODES if mode.startswith('live'))

workers = []
for number in range(1, 3):
    ready, started = os.pipe()
    worker = os.fork()
    if worker == 0:
        for mode in modes:  # not before: the parent would have files as well
            prometheus.Gauge(mode, 'Of the living', multiprocess_mode=mode).set(number)
        prometheus.Counter('work', 'Work done').inc()
        os.write(started, b'.')
        sys.stdin.buffer.raw.read()
        os._exit(0)
    os.read(ready, 1)
    workers.append(worker)
print(*workers, flush=True)
sys.stdin.buffer.raw.read()
