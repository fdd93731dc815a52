"""The admin of models whose edits are locked, and the admin of the locks."""

from django.contrib import admin

from lock_tokens.locking.lock_token import LockToken

from .lock_token.model_admin import LockTokenAdmin
from .lockable.change_list import LockStateFilter
from .lockable.model_admin import LockableModelAdmin

#: The name up to 0.2.5.
LockableAdmin = LockableModelAdmin

__all__ = ["LockStateFilter", "LockTokenAdmin", "LockableAdmin", "LockableModelAdmin"]

admin.site.register(LockToken, LockTokenAdmin)
