from datetime import datetime

from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.http import Http404
from django.utils import timezone

from .interruptions import interrupted


def content_security_policy(get_response):
    """Allow what comes from this site, and nothing that stands inside a page.

    From Django 6.0 on, django.middleware.csp does this and more.
    """

    def middleware(request):
        response = get_response(request)
        response["Content-Security-Policy"] = (
            "default-src 'self'; base-uri 'none'; form-action 'self';"
            " frame-ancestors 'none'"
        )
        return response

    return middleware


def local_time(get_response):
    """Show times as the clock of this computer does."""

    def middleware(request):
        with timezone.override(datetime.now().astimezone().tzinfo):
            return get_response(request)

    return middleware


def is_in_admin(request):
    return "admin" in request.resolver_match.app_names


class SignInMiddleware(LoginRequiredMiddleware):
    """Let nobody in who is not signed in. A form that they sent is not thrown away.

    The admin sees to both for itself, and has a page of its own to sign in.
    """

    def process_view(self, request, view_func, view_args, view_kwargs):
        if is_in_admin(request):
            return None
        return super().process_view(request, view_func, view_args, view_kwargs)

    def handle_no_permission(self, request, view_func):
        if request.method == "POST":
            return interrupted(request, "signed out", status=403)
        return super().handle_no_permission(request, view_func)


class GoneMiddleware:
    """Answer for an article that is not there (any more), and give the text back.

    Not in the admin, which has its own answer.
    """

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        return self.get_response(request)

    def process_exception(self, request, exception):
        if isinstance(exception, Http404) and not is_in_admin(request):
            return interrupted(request, "gone", status=404)
        return None
