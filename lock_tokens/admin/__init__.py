"""The admin: of models whose edits are locked, and of the locks themselves."""

from django.contrib import admin

from lock_tokens.models import LockToken

from .change_list import LockStateFilter
from .lock_tokens import LockTokenAdmin
from .lockable import LockableModelAdmin

#: The name up to 0.2.5.
LockableAdmin = LockableModelAdmin

__all__ = ["LockStateFilter", "LockTokenAdmin", "LockableAdmin", "LockableModelAdmin"]

admin.site.register(LockToken, LockTokenAdmin)
