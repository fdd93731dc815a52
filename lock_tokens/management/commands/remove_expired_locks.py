from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS, connections

from lock_tokens.models import LockToken


class Command(BaseCommand):
    help = (
        "Removes expired locks. The holder of an expired lock can still save until"
        " somebody else locks the object. Use --older-than to give people time for"
        " that."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--older-than",
            type=float,
            default=0,
            metavar="SECONDS",
            help="Remove only locks that expired at least this long ago (default: 0).",
        )
        parser.add_argument(
            "--batch-size",
            type=int,
            default=1000,
            metavar="N",
            help="The number of rows that one statement removes (default: 1000).",
        )
        parser.add_argument(
            "--time-limit",
            type=float,
            metavar="SECONDS",
            help="Do not start another batch after this time (default: no limit).",
        )
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="Show how many expired locks there are, but do not remove them.",
        )
        parser.add_argument(
            "--database",
            default=DEFAULT_DB_ALIAS,
            choices=tuple(connections),
            help="The database that contains the locks (default: %(default)s).",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        locks = LockToken.objects.db_manager(options["database"])
        try:
            count = locks.remove_expired(
                older_than=options["older_than"],
                batch_size=options["batch_size"],
                time_limit=options["time_limit"],
                dry_run=options["dry_run"],
            )
        except ValueError as error:
            raise CommandError(str(error)) from error
        locked = "1 expired lock" if count == 1 else f"{count} expired locks"
        if options["dry_run"]:
            self.stdout.write(f"{locked} would be removed.")
        else:
            self.stdout.write(self.style.SUCCESS(f"Removed {locked}."))
