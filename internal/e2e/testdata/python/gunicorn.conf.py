"""Settings of gunicorn: as many say, workers that do not live long, and what
prometheus_client asks for."""

from prometheus_client import multiprocess

bind = '127.0.0.1:0'
workers = 3
max_requests = 30
max_requests_jitter = 10
graceful_timeout = 5


def child_exit(server, worker):
    multiprocess.mark_process_dead(worker.pid)
