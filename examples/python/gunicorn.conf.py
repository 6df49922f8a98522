"""Two workers, each replaced after some 30 requests: by a new process, with new files."""

import os

wsgi_app = 'app:app'
bind = f"127.0.0.1:{os.environ.get('PORT', 8000)}"
workers = 2
threads = 4
max_requests = 30
max_requests_jitter = 5


def post_worker_init(_worker):
    # Not when this file is loaded: that is in the master, which has no metrics.
    import app
    app.worker_started()

# Not here: child_exit with mark_process_dead. The metrics server sees by itself
# which workers live.
