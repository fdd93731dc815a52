"""Decorated views, and browsers that hold the lock of what they show."""

from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth.models import AnonymousUser
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseRedirect,
    JsonResponse,
)
from django.test import AsyncClient, Client

from lock_tokens.decorators import (
    edits_object,
    holds_lock_on_object,
    locks_object,
    requires_lock_on_object,
)
from lock_tokens.models import LockableModel, LockToken
from lock_tokens.sessions import get_session_token, remember
from tests.models import Article
from tests.support import objects
from tests.support.helpers import expire, of_url

ALL = [locks_object, holds_lock_on_object, requires_lock_on_object, edits_object]
LOCKING = [locks_object, holds_lock_on_object]


@locks_object(Article, of_url)
def edit(request, key):
    return JsonResponse({**request.lock_token, "method": request.method})


def rename(request, key):
    objects.rename(Article(pk=key), request.POST.get("title", "renamed"))


@requires_lock_on_object(Article, of_url)
def save(request, key):
    rename(request, key)
    return HttpResponse("saved")


@requires_lock_on_object(Article, of_url, release=True)
def save_and_leave(request, key):
    rename(request, key)
    return HttpResponseRedirect("/")


def here(request, key):
    return HttpResponse("here")


def not_reached(request, *args, **kwargs):
    raise AssertionError("not reached")


def awaited(view):
    """Return a coroutine function that answers as the view does."""

    async def aview(request, *args, **kwargs):
        return await sync_to_async(view)(request, *args, **kwargs)

    return aview


class SyncClient(AsyncClient):
    """An ``AsyncClient`` that is called as ``Client`` is."""

    get = async_to_sync(AsyncClient.get)
    head = async_to_sync(AsyncClient.head)
    post = async_to_sync(AsyncClient.post)
    put = async_to_sync(AsyncClient.put)
    patch = async_to_sync(AsyncClient.patch)
    delete = async_to_sync(AsyncClient.delete)


def url_of(obj):
    return f"/{obj.pk}/"


def request_with(session, user=None):
    """Return a request of this session."""
    request = HttpRequest()
    request.session = session
    request.user = user or AnonymousUser()
    return request


def browser_of(user=None):
    """Return a client, signed in as the user if there is one."""
    client = Client()
    if user is not None:
        client.force_login(user)
    return client


def with_session(session, new_client=Client):
    """Return a client with a cookie of the session."""
    client = new_client()
    client.cookies["sessionid"] = session.session_key
    return client


def editing(obj, new_client=Client):
    """Return a client whose session has the object's lock, and the token."""
    session = Client().session
    token = LockableModel.lock(obj)["token"]
    remember(obj, session, token)
    session.save()
    return with_session(session, new_client), token


def editor_of(obj, new_client=Client):
    return editing(obj, new_client)[0]


def send_token(client, how, url, token, **data):
    """Send a form with the token in its field, or in the header."""
    if how == "field":
        return client.post(url, {"lock_token": token, **data})
    return client.post(url, data, headers={"Lock-Token": token})


def token_in_session(client, obj):
    return get_session_token(obj, client.session)


def token_of_row(obj):
    current_token = LockToken.objects.current_token(obj)
    return current_token and current_token.token


def take_and_leave(obj):
    """Let another have the object's expired lock for a while, and leave."""
    expire(obj)
    obj.unlock(obj.lock()["token"])


def use_template(settings, source):
    """Give the project a template ``ours.html``, and no other."""
    loader = ("django.template.loaders.locmem.Loader", {"ours.html": source})
    settings.TEMPLATES = [
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {"loaders": [loader]},
        }
    ]
