"""Django's error reports: whatever way a token came, no report shows it."""

import sys
from importlib.util import find_spec

import pytest
from asgiref.sync import async_to_sync
from django.core.signals import got_request_exception
from django.http import HttpResponse
from django.test import AsyncClient, Client
from django.urls import path
from django.views.debug import (
    ExceptionReporter,
    SafeExceptionReporterFilter,
    get_exception_reporter_filter,
)

from lock_tokens.decorators import (
    holds_lock_on_object,
    locks_object,
    requires_lock_on_object,
)
from lock_tokens.locking.error_reports import hide_tokens
from lock_tokens.models import LockToken
from tests.models import Article, Story
from tests.support.admin_site import (
    LIST,
    StoryAdmin,
    form_of,
    new_site,
    person,
    standing_token,
    urls_of_site,
)
from tests.support.api import address
from tests.support.helpers import of_url, urls_of

pytestmark = [pytest.mark.django_db, pytest.mark.filterwarnings("ignore::UserWarning")]


class Fault(Exception):
    """A mistake of the project's."""


@pytest.fixture
def reports(caplog, monkeypatch):
    """All that Django says of the exceptions in this test."""
    found = []

    def report(request, **kwargs):
        reporter = ExceptionReporter(request, *sys.exc_info(), is_email=True)
        found.append(reporter.get_traceback_html() + reporter.get_traceback_text())

    got_request_exception.connect(report)
    yield found
    got_request_exception.disconnect(report)


def assert_hidden(reports, caplog, token, *names):
    """Check that there is a report, which names what was sent, and not the token."""
    (report,) = reports
    assert "Fault" in report
    for name in names:
        assert name in report
    assert "********************" in report
    assert token not in report
    assert token not in caplog.text


def fails(request, *args, **kwargs):
    token = getattr(request, "lock_token", None)
    raise Fault(token is not None)


@pytest.mark.parametrize("decorator", [locks_object, holds_lock_on_object])
def test_a_view_that_locks_and_fails(settings, article, reports, caplog, decorator):
    seen = []

    def view(request, key):
        seen.append(request.lock_token["token"])
        fails(request)

    settings.ROOT_URLCONF = urls_of(decorator(Article, of_url)(view))
    assert (
        Client(raise_request_exception=False).get(f"/{article.pk}/").status_code == 500
    )
    assert_hidden(reports, caplog, seen[0])


@pytest.mark.parametrize("how", ["field", "Lock-Token", "If"])
@pytest.mark.parametrize("is_async", [False, True])
def test_a_view_that_saves_and_fails(
    settings, article, held, reports, caplog, how, is_async
):
    async def afails(request, key):
        fails(request)

    view = requires_lock_on_object(Article, of_url)(afails if is_async else fails)
    settings.ROOT_URLCONF = urls_of(view)
    token, url = held["token"], f"/{article.pk}/"
    data = {"title": "Mine"} | ({"lock_token": token} if how == "field" else {})
    headers = {"Lock-Token": token}
    if how == "If":
        headers["If"] = f"(<{token}>)"
    client = (AsyncClient if is_async else Client)(raise_request_exception=False)
    post = async_to_sync(client.post) if is_async else client.post
    assert post(url, data, headers=headers).status_code == 500
    assert_hidden(reports, caplog, token, "Mine", "HTTP_LOCK_TOKEN")


@pytest.mark.urls("tests.support.api")
@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_the_api_whose_permission_fails(
    settings, article, held, reports, caplog, method
):
    settings.LOCK_TOKENS = {"API_PERMISSION": fails}
    client = Client(raise_request_exception=False)
    answer = client.generic(method, address(article, held["token"]))
    assert answer.status_code == 500
    assert_hidden(reports, caplog, held["token"], "/locks/tests/article/")
    assert "Internal Server Error: /locks/tests/article/" in caplog.text


@pytest.mark.parametrize("page", ["change", "delete", "list"])
def test_the_admin_whose_hook_fails(settings, reports, caplog, page):
    fault = []

    class Admin(StoryAdmin):
        def save_model(self, request, *args):
            fails(request)

        def delete_model(self, request, obj):
            fails(request)

        def get_changelist_instance(self, request):
            if fault:
                fails(request)
            return super().get_changelist_instance(request)

    site = new_site()
    site.register(Story, Admin)
    settings.ROOT_URLCONF = urls_of_site(site)
    story = Story.objects.create(headline="Headline")
    alice = person("alice")
    alice.raise_request_exception = False
    if page == "list":
        token = LockToken.objects.acquire(story).token_str
        data = form_of(alice.get(LIST)) | {"lock_token": token}
        fault.append(True)
        answer = alice.post(LIST, data)
    else:
        opened = alice.open(story, page)
        token = standing_token(story)
        answer = alice.send(opened)
    assert answer.status_code == 500
    assert_hidden(reports, caplog, token, "Fault")


def test_a_page_of_the_project_s_own_in_the_admin_that_fails(settings, reports, caplog):
    class Admin(StoryAdmin):
        def get_urls(self):
            return [path("<path:object_id>/shout/", fails), *super().get_urls()]

    site = new_site()
    site.register(Story, Admin)
    settings.ROOT_URLCONF = urls_of_site(site)
    story = Story.objects.create(headline="Headline")
    alice = person("alice")
    data = form_of(alice.open(story))
    alice.raise_request_exception = False
    assert alice.post(f"{LIST}{story.pk}/shout/", data).status_code == 500
    assert_hidden(reports, caplog, data["lock_token"][0], "Headline")


@pytest.mark.skipif(not find_spec("rest_framework"), reason="no REST framework")
@pytest.mark.parametrize("header", ["If", "Lock-Token"])
@pytest.mark.parametrize("kind", ["mixin", "permission"])
def test_a_view_of_rest_framework_that_fails(
    settings, alice, article, held, reports, caplog, header, kind
):
    from rest_framework.viewsets import ModelViewSet

    from tests.support.drf_site import api_client
    from tests.support.drf_writes import made

    view = made(
        kind,
        ModelViewSet,
        lookup_url_kwarg="key",
        perform_update=lambda self, serializer: fails(self.request),
    )
    settings.ROOT_URLCONF = urls_of(view.as_view({"patch": "partial_update"}))
    token = held["token"]
    client = api_client(alice)
    client.raise_request_exception = False
    sent = f"(<{token}>)" if header == "If" else token
    answer = client.patch(f"/{article.pk}/", {"title": "Mine"}, headers={header: sent})
    assert answer.status_code == 500
    assert_hidden(reports, caplog, token, f"HTTP_{header.upper().replace('-', '_')}")


def test_the_project_s_own_filter_still_hides_what_it_hides(rf, settings):
    class Own(SafeExceptionReporterFilter):
        def get_safe_request_meta(self, request):
            return {**super().get_safe_request_meta(request), "HTTP_X": "ours"}

    token = "0123456789abcdef" * 2
    request = rf.post(f"/{token}/", {"a": token}, HTTP_X=token, HTTP_IF=f"(<{token}>)")
    request.exception_reporter_filter = own = Own()
    for _ in range(2):
        hide_tokens(request)
    found = get_exception_reporter_filter(request)
    assert found.project_filter is own
    assert found.cleansed_substitute == own.cleansed_substitute
    meta = found.get_safe_request_meta(request)
    assert meta["HTTP_X"] == "ours"
    assert token not in str(meta)
    assert isinstance(meta["wsgi.input"], object)
    assert found.get_post_parameters(request) == {"a": "********************"}


def test_what_only_resembles_a_token_is_shown(rf):
    request = rf.post("/", {"a": "0" * 33, "b": "0" * 31, "c": HttpResponse.__name__})
    hide_tokens(request)
    found = request.exception_reporter_filter
    assert found.get_post_parameters(request) == dict(request.POST.items())
