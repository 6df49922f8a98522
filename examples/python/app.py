"""A tea shop: a small Flask application that measures itself.

It has no /metrics, and no hook tells the library that a worker has ended:
gitlab-metrics-exporter reads what the workers write, from beside them.
"""

import os
import time
from importlib.metadata import version

from flask import Flask, abort, g, request
from prometheus_client import Counter, Gauge, Histogram

TEAS = {'assam': 4, 'earl-grey': 5, 'gunpowder': 3, 'sencha': 6}

REQUESTS = Counter('shop_requests', 'Requests answered.', ['endpoint', 'status'])
CUPS = Counter('shop_cups_ordered', 'Cups ordered.', ['tea'])
DURATION = Histogram('shop_request_duration_seconds', 'Time from a request to its answer.', ['endpoint'],
                     buckets=[0.001, 0.005, 0.025, 0.1, 0.5, 2.5])

# live: a worker that has ended no longer counts.
IN_FLIGHT = Gauge('shop_requests_in_flight', 'Requests being answered.', multiprocess_mode='livesum')
STARTED = Gauge('shop_worker_start_time_seconds', 'When each worker began.', multiprocess_mode='liveall')

# What was set last, whichever worker did it. 0.18 and later know this mode; with
# older ones the page has the largest.
newest = tuple(map(int, version('prometheus-client').split('.')[:2])) >= (0, 18)
LAST_ORDER = Gauge('shop_last_order_cups', 'Cups of the last order.', multiprocess_mode='mostrecent' if newest else 'max')

app = Flask(__name__)


def worker_started():
    """To be called once in each worker, after it was forked."""
    STARTED.set_to_current_time()


@app.before_request
def begin():
    g.begun = time.perf_counter()
    IN_FLIGHT.inc()


@app.after_request
def count(response):
    endpoint = request.endpoint or 'none'
    REQUESTS.labels(endpoint, response.status_code).inc()
    DURATION.labels(endpoint).observe(time.perf_counter() - g.begun)
    return response


@app.teardown_request
def end(_error):
    IN_FLIGHT.dec()


@app.get('/')
def index():
    return {'teas': TEAS, 'worker': os.getpid()}


@app.post('/orders')
def order():
    tea, cups = request.form.get('tea'), request.form.get('cups', 1, type=int)
    if tea not in TEAS or not 1 <= cups <= 100:
        abort(400)
    CUPS.labels(tea).inc(cups)
    LAST_ORDER.set(cups)
    return {'tea': tea, 'cups': cups, 'price': TEAS[tea] * cups}


@app.get('/slow')
def slow():
    time.sleep(min(request.args.get('seconds', 1, type=float), 10))
    return {'worker': os.getpid()}
