from django import template

register = template.Library()


@register.filter
def person(user):
    """Return the name to call a user by; ``None`` is a user who is gone."""
    return user.get_full_name() or user.get_username() if user else "somebody"
