"""The application that gunicorn runs: it counts each request before it answers
it, with the process's id."""

import os

from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Counter('web_requests', 'Requests, each with a number of its own.', ['client', 'number'])
ANSWERS = Counter('web_answers', 'Requests.')
SECONDS = Histogram('web_seconds', 'Seconds.', ['client'], buckets=[1, 10, 100])
# There is one of each for a worker from when it has loaded the application.
WORKERS = Gauge('web_workers', 'How many workers there are.', multiprocess_mode='livesum')
WORKERS.set(1)
WORKER = Gauge('web_worker', 'Which workers there are.', multiprocess_mode='liveall')
WORKER.set(1)


def application(environ, start_response):
    client, number = environ['PATH_INFO'].strip('/').split('/')
    REQUESTS.labels(client, number).inc()
    ANSWERS.inc()
    SECONDS.labels(client).observe(int(number))
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [str(os.getpid()).encode()]
