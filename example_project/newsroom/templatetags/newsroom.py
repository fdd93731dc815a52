from django import template
from django.utils.html import format_html

register = template.Library()


@register.filter
def person(user):
    """Return the name to call a user by; ``None`` is a user who is gone."""
    return user.get_full_name() or user.get_username() if user else "somebody"


@register.filter
def standing(lock, user):
    """Say how an article stands for a user: it is ``free``, ``mine`` or ``taken``."""
    if not lock:
        return "free"
    return "mine" if lock.locked_by == user else "taken"


@register.simple_tag
def when(now, *states):
    """Mark a part of a page that is for these states only, and hide it in any other.

    newsroom.js shows it when the article comes into one of them.
    """
    hidden = "" if now in states else " hidden"
    return format_html('data-when="{}"{}', " ".join(states), hidden)
