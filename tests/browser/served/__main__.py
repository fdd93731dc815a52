"""Serve, on the port that is given: ``python -m tests.browser.served 8000``."""

import os
import sys

import django
from django.core.management import call_command
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.core.wsgi import get_wsgi_application

EDITORS = {"alice": ("Alice", "Moreau"), "bob": ("Bob", "Lindqvist")}
# May take over what others are editing.
CHIEFS = {"carol": ("Carol", "Okafor")}


class Handler(WSGIRequestHandler):
    def get_environ(self):
        return {**super().get_environ(), "connection": self.connection}

    def log_message(self, *arguments):
        pass


class Server(ThreadedWSGIServer):
    request_queue_size = 128
    daemon_threads = True


def main(port):
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.browser.served.settings"
    django.setup()
    call_command("migrate", run_syncdb=True, verbosity=0)
    from django.contrib.auth import get_user_model
    from django.contrib.auth.hashers import make_password
    from django.contrib.auth.models import Permission
    from django.db import connection

    own = Permission.objects.filter(content_type__app_label="tests")
    for username, (first_name, last_name) in {**EDITORS, **CHIEFS}.items():
        user = get_user_model().objects.create(
            username=username,
            first_name=first_name,
            last_name=last_name,
            password=make_password(username),
            is_staff=True,
            is_superuser=username in CHIEFS,
        )
        user.user_permissions.set(own)
    connection.close()
    server = Server(("127.0.0.1", port), Handler)
    server.set_app(get_wsgi_application())
    server.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]))
