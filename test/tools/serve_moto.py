"""Serves moto's S3 on 127.0.0.1:PORT, one request at a time: serve_moto.py PORT

moto looks whether an object is there and then writes it, without a lock between, so under load two of its own
threads can both create an object (seen once in 200 races of 16). Here it stands for a second implementation of the
protocol, not of a store: the lock gives it what a store must have.
"""

import sys
import threading

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

app = DomainDispatcherApplication(create_backend_app)
one = threading.Lock()


def serve(environ, start_response):
    with one:
        # The whole answer, as some of it may be made while it is read.
        return [b"".join(app(environ, start_response))]


run_simple("127.0.0.1", int(sys.argv[1]), serve, threaded=True)
