"""What the pages show of a lock."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db import models
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.translation import gettext as _

from ..locking.fields import to_utc
from ..locking.info import LockInfo, display_name
from .client_config import has_client

if TYPE_CHECKING:
    from django.contrib.admin.models import LogEntry

HELD = "held"  # this page holds the lock
LOCKED = "locked"  # somebody else does: read-only
ELSEWHERE = "elsewhere"  # the same user does, in another session: read-only
REFUSED = "refused"  # the token was void: nothing is saved, all that was typed is shown
AGAIN = "again"  # after a refusal, locked again: not saved yet


@dataclass(frozen=True)
class Difference:
    """A field that was entered otherwise than it is saved now."""

    label: str
    current: str
    field_id: str = ""


@dataclass
class LockPage:
    """What the templates show of a lock, as ``lock_page``.

    ``state`` is one of the words above. ``token`` is the page's own. ``holder`` is who
    has the lock now, when that is not this page.
    """

    state: str
    app_label: str
    model_name: str
    object_id: str
    token: str | None = None
    holder: LockInfo | None = None
    verbose_name: str = ""
    object_name: str = ""
    user_name: str = ""
    can_take_over: bool = False
    timeout: float | None = None
    renew: bool = True
    release_on_leave: bool = True
    url: str = ""
    list_url: str = ""
    login_url: str = ""
    is_popup: bool = False
    user: Any = None
    request: HttpRequest | None = None
    obj: models.Model | None = None
    #: Whether the page answers a POST: its fields are as they were sent.
    bound: bool = False
    #: Whether the page was rendered, and so not saved.
    shown: bool = False
    #: Whether a save is under way that the lock protects.
    fenced: bool = False
    #: Whether a change was noted in the history, as at the end of each save.
    saved: bool = False
    #: Whether the object was not found after all.
    is_gone: bool = False
    #: The fields whose file was sent, and is to be chosen again.
    files: list[str] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    last_change: LogEntry | None = None

    #: What has put the parts on the page: the blocks of our templates, or the tag.
    placed_by: str = ""
    has_head: bool = False

    @property
    def is_new(self) -> bool:
        """Whether the lock is acquired by this request: what it shows must be as new."""
        return self.state == AGAIN or (self.state == HELD and not self.bound)

    def place_by_blocks(self) -> bool:
        """Say whether the blocks of our templates shall show this."""
        self.placed_by = self.placed_by or "blocks"
        return self.placed_by == "blocks"

    def place_by_tag(self) -> bool:
        """Say whether ``{% admin_lock_handler %}`` shall, and not the blocks."""
        self.placed_by = self.placed_by or "tag"
        return self.placed_by == "tag"

    def place_head(self) -> bool:
        """Say, once, that scripts and stylesheet are still to be brought."""
        had, self.has_head = self.has_head, True
        return not had

    @cached_property
    def has_client(self) -> bool:
        """Whether the JavaScript client can work on this page."""
        return self.obj is not None and has_client(self.request, self.obj)

    @property
    def is_own(self) -> bool:
        """Whether the holder is this page's user, in another session."""
        return self.holder is not None and is_of(self.holder, self.user)

    @property
    def holder_name(self) -> str:
        """How to call the holder; empty when unknown."""
        return display_name(self.holder.locked_by) or "" if self.holder else ""

    @property
    def last_change_by(self) -> str:
        """How to call whoever made the last change."""
        return display_name(self.last_change.user) or "" if self.last_change else ""

    @property
    def take_over_value(self) -> str:
        """What says of which lock it was asked whether to take it over."""
        return to_utc(self.holder.locked_at).isoformat() if self.holder else ""


def is_of(holder: LockInfo, user: Any) -> bool:
    """Say whether this lock is the user's own."""
    return holder.locked_by is not None and holder.locked_by == user


def someone(lock: Any) -> str:
    """Return how to call the holder of a lock within a sentence."""
    return display_name(lock.locked_by) or _("somebody")
