"""The buttons of a change page, and by which of them it was sent."""

from __future__ import annotations

from django.http import HttpRequest

from lock_tokens.refusals import TOKEN_FIELD

#: The form's names for what our buttons ask.
LOCK_AGAIN = "_lock_again"
TAKE_OVER = "_take_over"

# Django's.
SAVE_AS_NEW = "_saveasnew"
SAVE_BUTTONS = {"_save", "_continue", "_addanother"}
OWN_BUTTONS = {*SAVE_BUTTONS, SAVE_AS_NEW, LOCK_AGAIN, TAKE_OVER}
NO_BUTTONS = {"_popup", "_to_field", "_source_model", "_selected_action"}


def is_plain_save(request: HttpRequest) -> bool:
    """Say whether a page of ours was sent by a button of Django's, and no other's."""
    buttons = {
        name
        for name in request.POST
        if name.startswith("_") and not name.startswith("_lock_")
    } - NO_BUTTONS
    return TOKEN_FIELD in request.POST and bool(buttons) and buttons <= SAVE_BUTTONS
