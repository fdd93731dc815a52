import time

from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.core.management import BaseCommand, CommandError

from lock_tokens.exceptions import AlreadyLockedError, InvalidToken
from lock_tokens.holding import fence, hold_lock

from ...models import Article


class Command(BaseCommand):
    help = (
        "Add a paragraph from the wire to an article, as a job in the background would."
    )

    def add_arguments(self, parser):
        parser.add_argument("article", type=int, help="The number of the article.")
        parser.add_argument("paragraph", help="The text to add.")
        parser.add_argument(
            "--seconds",
            type=float,
            default=0,
            help="The number of seconds that the job waits before it writes, so that"
            " you can watch.",
        )

    def handle(self, *, article, paragraph, seconds, **options):
        try:
            article = Article.objects.get(pk=article)
        except Article.DoesNotExist as error:
            raise CommandError(f"There is no article {article}.") from error
        # An account that nobody can sign in to. Locks are held in its name.
        wire, _ = get_user_model().objects.get_or_create(
            username="wire",
            defaults={"first_name": "The wire desk", "password": make_password(None)},
        )
        try:
            # The lock is renewed while the block runs, and released at its end.
            with hold_lock(article, user=wire) as held:
                self.stdout.write(f"The job has locked “{article}”.")
                time.sleep(seconds)  # as slow as a service elsewhere can be
                # Save only if the lock still stands, in one transaction with the check.
                with fence(article, held.token):
                    article.refresh_from_db()
                    article.body += f"\n\n{paragraph}"
                    article.last_edited_by = wire
                    article.save()
        except AlreadyLockedError as error:
            holder = error.locked_by.get_full_name() if error.locked_by else "Somebody"
            raise CommandError(
                f"{holder} is editing “{article}”. Try again later."
            ) from error
        except InvalidToken as error:
            raise CommandError(f"The lock on “{article}” was lost.") from error
        self.stdout.write("Added.")
