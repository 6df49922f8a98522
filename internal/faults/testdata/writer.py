"""writer.py DIR ID PROGRESS: counts until it is killed, with the real library, as
writer_test.go does. PROGRESS says in which round it is, and which it has done.
"""

import os
import struct
import sys
import time

DIRECTORY, IDENTIFIER, PROGRESS = sys.argv[1:]
# The library asks once, when it is imported.
os.environ['PROMETHEUS_MULTIPROC_DIR'] = DIRECTORY

from prometheus_client import Counter, Gauge, Histogram, values  # noqa: E402

values.ValueClass = values.MultiProcessValue(lambda: IDENTIFIER)

OPS = Counter('python_ops', 'Rounds.', ['writer'])
GROWN = Counter('python_grown', 'Parts of rounds.', ['part', 'writer'])
SECONDS = Histogram('python_seconds', 'Seconds.', ['writer'], buckets=[0, 1])
LATEST = Gauge('python_latest', 'The latest round.', ['writer'], multiprocess_mode='max')
ROUNDS = Gauge('python_rounds', 'The latest round.', ['writer'], multiprocess_mode='all')

progress = os.open(PROGRESS, os.O_RDWR)
done = struct.unpack('<Q', os.pread(progress, 8, 8))[0]
while True:
    os.pwrite(progress, struct.pack('<Q', done + 1), 0)
    OPS.labels(IDENTIFIER).inc()
    part = done // 64
    if part < 50:
        GROWN.labels(part, IDENTIFIER).inc()
    SECONDS.labels(IDENTIFIER).observe(done % 3)
    LATEST.labels(IDENTIFIER).set(done + 1)
    ROUNDS.labels(IDENTIFIER).set(done + 1)
    done += 1
    os.pwrite(progress, struct.pack('<Q', done), 8)
    if done % 20 == 0:
        time.sleep(0.02)
