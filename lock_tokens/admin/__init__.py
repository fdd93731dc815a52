"""The admin: of models whose edits are locked, and of the locks themselves."""

from django.contrib import admin

from lock_tokens.models import LockToken

from .lock_token import LockTokenAdmin
from .lockable import LockableModelAdmin
from .lockable.change_list import LockStateFilter

#: The name up to 0.2.5.
LockableAdmin = LockableModelAdmin

__all__ = ["LockStateFilter", "LockTokenAdmin", "LockableAdmin", "LockableModelAdmin"]

admin.site.register(LockToken, LockTokenAdmin)
