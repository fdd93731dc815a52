import errno
import os
import socket

from django.conf import settings
from django.core.management import BaseCommand, CommandError, call_command

from ...samples import ACCOUNTS, CHIEFS, load_samples


class Command(BaseCommand):
    help = "Set up the newsroom with sample articles and accounts, then serve it."

    def add_arguments(self, parser):
        parser.add_argument(
            "address",
            nargs="?",
            default="8000",
            help="The port, or the address and the port, for example 192.168.1.20:8000."
            " Default: 8000.",
        )
        parser.add_argument(
            "--no-serve",
            action="store_true",
            help="Set up the newsroom, but do not serve it.",
        )

    def handle(self, *, address, no_serve, verbosity, **options):
        host, _, port = address.rpartition(":")
        host = host or "127.0.0.1"
        if not port.isdecimal():
            raise CommandError(
                f"{address!r} is neither a port nor an address and port."
            )
        if not no_serve:
            self.check_is_free(host, int(port))
        call_command("migrate", verbosity=max(verbosity - 1, 0))
        if load_samples():
            self.stdout.write("The newsroom is new and has sample articles.")
        else:
            self.stdout.write("The newsroom is as you left it.")
        self.stdout.write("")
        self.stdout.write(f"  Address    http://{host}:{port}/")
        self.stdout.write(f"  Admin      http://{host}:{port}/admin/")
        for username, _, _, groups in ACCOUNTS:
            role = " (editor-in-chief)" if CHIEFS in groups else ""
            self.stdout.write(f"  Account    {username}, password {username}{role}")
        self.stdout.write("")
        if no_serve:
            return
        self.stdout.write(
            "Sign in as alice here, and as bob in a second browser or a private window.\n"
            "Then let both edit the same article. The editor-in-chief may take over.\n"
        )
        self.stdout.flush()
        # Whoever names the address of this computer wants to be found there.
        settings.ALLOWED_HOSTS.append(host)
        call_command("runserver", f"{host}:{port}", use_reloader=False)

    def check_is_free(self, host, port):
        """Say now what the server would say after everything else, and which to try."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            with socket.socket(family) as probe:
                if os.name == "posix":  # as the server does
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host.strip("[]"), port))
        except (OSError, OverflowError) as error:
            in_use = getattr(error, "errno", None) == errno.EADDRINUSE
            why = f"port {port} is already in use" if in_use else error
            raise CommandError(
                f"Cannot serve on {host}:{port}: {why}.\n"
                "Name another port, for example: manage.py demo"
                f" {8001 if port != 8001 else 8002}"
            ) from error
