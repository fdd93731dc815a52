"""What the pages show of a lock."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import models
from django.http import HttpRequest
from django.utils import formats, timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext as _

from ..exceptions import AlreadyLockedError
from ..locking.fields import to_utc
from ..locking.info import LockInfo, display_name
from ..refusals import is_of
from .client_config import has_client

if TYPE_CHECKING:
    from django.contrib.admin.models import LogEntry

# The states of a page.
HELD = "held"  # this page holds the lock
LOCKED = "locked"  # somebody else holds it: the page is read-only
ELSEWHERE = "elsewhere"  # the same user does, in another session: also read-only
REFUSED = "refused"  # the token was void: nothing is saved, and the page shows the text
AGAIN = "again"  # locked again after a refusal: the text is not saved yet


# A field of a page to read, so that its form is not taken for one that was filled in.
READ_ONLY_FIELD = "_lock_read_only"


@dataclass(frozen=True)
class Difference:
    """Where the form differs from what is saved now: a field, or the rows of an inline.

    Without ``field_id`` and ``is_rows``, it is something that only the project's form
    knows.
    """

    label: str
    current: str = ""
    field_id: str = ""
    is_rows: bool = False


@dataclass
class LockPage:
    """What the templates show of a lock, as ``lock_page``.

    ``state`` is one of the words above. ``token`` is the page's own. ``holder`` has the
    lock now, when that is not this page.
    """

    state: str
    app_label: str
    model_name: str
    object_id: str
    token: str | None = None
    holder: LockInfo | None = None
    obj: models.Model | None = None
    request: HttpRequest | None = None
    user: Any = None
    can_take_over: bool = False
    timeout: float | None = None
    renew: bool = True
    release_on_leave: bool = True
    is_popup: bool = False
    #: Whether the view answers the buttons to go on with a text and to take over.
    can_go_on: bool = False
    url: str = ""
    list_url: str = ""
    login_url: str = ""

    # After a refusal: where the text differs from what is saved, which files must be
    # chosen again, what was sent under names that the form does not have, whether all of
    # it is saved already, and who changed the object last.
    differences: list[Difference] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    others: list[tuple[str, str]] = field(default_factory=list)
    is_saved: bool = False
    last_change: LogEntry | None = None
    # The name of the user who has opened the page, if another one is signed in now.
    opened_by: str | None = None

    # What has put the parts on the page: the blocks of our templates, or the tag.
    placed_by: str = ""
    has_head: bool = False

    def place_by_blocks(self) -> bool:
        """Say whether the blocks of our templates show this."""
        self.placed_by = self.placed_by or "blocks"
        return self.placed_by == "blocks"

    def place_by_tag(self) -> bool:
        """Say whether ``{% admin_lock_handler %}`` shows this, and not the blocks."""
        self.placed_by = self.placed_by or "tag"
        return self.placed_by == "tag"

    def place_head(self) -> bool:
        """Return ``True`` once: the page needs the scripts and the stylesheet once."""
        had, self.has_head = self.has_head, True
        return not had

    @cached_property
    def has_client(self) -> bool:
        """Whether the JavaScript client can work on this page."""
        return self.obj is not None and has_client(self.request, self.obj)

    @property
    def can_save(self) -> bool:
        """Whether a save of this page is not refused, as far as the server knows."""
        return self.state in (HELD, AGAIN)

    @property
    def bound(self) -> bool:
        """Whether the page answers a POST: its fields are as they were sent."""
        return self.request is not None and self.request.method == "POST"

    @property
    def user_name(self) -> str:
        """The name of this page's user; empty when unknown."""
        return display_name(self.user) or ""

    @property
    def is_own(self) -> bool:
        """Whether the holder is this page's user, in another session."""
        return self.holder is not None and is_of(self.holder, self.user)

    @property
    def holder_name(self) -> str:
        """The name of the holder; empty when unknown."""
        return display_name(self.holder.locked_by) or "" if self.holder else ""

    @property
    def since(self) -> str:
        """Since when the holder has the lock, as all pages write it."""
        return since(self.holder.locked_at) if self.holder else ""

    @property
    def until(self) -> str:
        """Until when the holder has the lock."""
        return since(self.holder.expires_at) if self.holder else ""

    @property
    def clock(self) -> dict[str, Any]:
        """What the script needs to write times as the server does."""
        now = timezone.make_aware(datetime.now()) if not settings.USE_TZ else None
        offset = (now or timezone.localtime()).utcoffset() or timedelta()
        return {
            "offset": int(offset.total_seconds() // 60),
            "time": formats.get_format("TIME_FORMAT"),
            "date": formats.get_format("SHORT_DATETIME_FORMAT"),
        }

    @property
    def last_change_by(self) -> str:
        """The name of the user who made the last change."""
        return display_name(self.last_change.user) or "" if self.last_change else ""

    @property
    def take_over_value(self) -> str:
        """The value of the button: it names the lock that the user agreed to end."""
        return to_utc(self.holder.locked_at).isoformat() if self.holder else ""


def holder_of(error: AlreadyLockedError) -> LockInfo | None:
    """Return who has the lock; ``None`` if that could not be found out."""
    if error.locked_at is None or error.expires_at is None:
        return None
    return LockInfo(error.locked_by, error.locked_at, error.expires_at)


def is_same_lock(asked: str, holder: LockInfo) -> bool:
    """Say whether ``asked`` is the :attr:`LockPage.take_over_value` of this lock."""
    try:
        return datetime.fromisoformat(asked) == to_utc(holder.locked_at)
    except (TypeError, ValueError):
        return False


def someone(lock: Any) -> str:
    """Return a name for the holder of a lock, for use in a sentence."""
    return display_name(lock.locked_by) or _("somebody")


def since(moment: datetime) -> str:
    """Return the time of a moment, with its date unless that is today."""
    if timezone.is_aware(moment):
        moment, today = timezone.localtime(moment), timezone.localdate()
    else:
        today = date.today()
    if moment.date() == today:
        return str(formats.time_format(moment, "TIME_FORMAT"))
    return str(formats.date_format(moment, "SHORT_DATETIME_FORMAT"))
