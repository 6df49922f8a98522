"""busy.py DIR ID ROUNDS [CHILD...]: a process that counts ROUNDS times, each
time a little more of everything, and forks one CHILD after the other on the way,
which do the same under ids of their own. It says "done" on stdout when all that
is counted in full, then goes on with counters named restless_..., until stdin
ends or somebody kills it.

The ids stand in the files' names in the place of process ids: who comes back
goes on in the files that it left.
"""

import os
import sys
import threading
import time
import traceback
from itertools import count

DIRECTORY, IDENTIFIER, ROUNDS, CHILDREN = sys.argv[1], [sys.argv[2]], int(sys.argv[3]), sys.argv[4:]
# The library asks once, when it is imported.
os.environ['PROMETHEUS_MULTIPROC_DIR'] = DIRECTORY

from prometheus_client import Counter, Gauge, Histogram, Summary, values  # noqa: E402

values.ValueClass = values.MultiProcessValue(lambda: IDENTIFIER[0])

TOTAL = Counter('live', 'Rounds.', ['worker'])
PARTS = Counter('live_rounds', 'Parts of rounds.', ['worker', 'round'])
SECONDS = Histogram('live_seconds', 'Seconds.', ['worker', 'kind'], buckets=[0, 1])
SUMMARY = Summary('live_summary', 'Twos.', ['worker'])
LATEST = Gauge('live_latest', 'The latest round.', multiprocess_mode='all')
MOST = Gauge('live_most', 'The latest round.', ['worker'], multiprocess_mode='max')
RESTLESS = Counter('restless', 'Rounds.', ['worker'])
RESTLESS_SECONDS = Histogram('restless_seconds', 'Seconds.', ['worker', 'kind'])


def pace(round):
    """A pause now and then, or the whole run is over before a second scrape."""
    if round % 10 == 0:
        time.sleep(0.005)


def work(then=lambda round: None):
    worker = IDENTIFIER[0]
    for round in range(ROUNDS):
        TOTAL.labels(worker).inc()
        # New series all the time: files grow while they are read.
        PARTS.labels(worker, f'{round // 4} {"x" * (round // 4 % 97)}').inc(0.5)
        SECONDS.labels(worker, round // 50).observe(round % 3)
        SUMMARY.labels(worker).observe(2)
        LATEST.set(round)
        MOST.labels(worker).set(round)
        then(round)
        pace(round)


def fork(identifier):
    pid = os.fork()
    if pid == 0:
        IDENTIFIER[0] = identifier
        try:
            work()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    return pid


forked = []


def fork_some(round):
    if round % 20 == 0 and CHILDREN:
        forked.append(fork(CHILDREN.pop(0)))


work(fork_some)
for pid in forked:
    if os.waitpid(pid, 0)[1] != 0:
        sys.exit('busy.py: a child failed')
print('done', flush=True)


def end():
    sys.stdin.read()
    os._exit(0)


threading.Thread(target=end, daemon=True).start()
for round in count():
    RESTLESS.labels(IDENTIFIER[0]).inc()
    RESTLESS_SECONDS.labels(IDENTIFIER[0], round % 20).observe(round % 7)
    pace(round)
