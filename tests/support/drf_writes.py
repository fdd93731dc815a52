"""Views with the mixin or with the permission, made by a test, and what they refuse."""

from rest_framework.generics import GenericAPIView, get_object_or_404
from rest_framework.response import Response
from rest_framework.viewsets import ModelViewSet

from lock_tokens.models import LockToken
from lock_tokens.rest_framework import HoldsLock, LockableViewSetMixin
from tests.models import Article, Comment, Desk, Feature, Keyword, Story
from tests.support.doors import HOLDER
from tests.support.drf_site import ArticleSerializer, with_token
from tests.support.helpers import lock_row

VOID = "0" * 32


def made(kind, base=ModelViewSet, **attributes):
    """Return a view with the mixin, with the permission, with both, or with neither."""
    if "permission" in kind:
        own = attributes.get("permission_classes", [])
        attributes["permission_classes"] = [*own, HoldsLock]
    if issubclass(base, GenericAPIView):
        attributes.setdefault("queryset", Article.objects.all())
        attributes.setdefault("serializer_class", ArticleSerializer)
    bases = (LockableViewSetMixin, base) if "mixin" in kind else (base,)
    return type("Made", bases, attributes)


def database():
    """Return all that a refused request might have changed."""
    names = (LockToken, Article, Feature, Story, Comment, Desk, Keyword)
    return [list(model.objects.order_by("pk").values()) for model in names]


def url_of(obj, route=""):
    """Return the address that the fixture ``serve`` gives to the object."""
    return f"/things/{obj.pk}/{route}"


def request(client, method, url, body=None):
    """Return a function that sends the same request, with the headers it is given.

    An object stands for its address.
    """
    url = url if isinstance(url, str) else url_of(url)
    body = {"title": "Second"} if body is None else body
    return lambda **headers: getattr(client, method)(url, body, **headers)


def locked(obj):
    """Lock the object, and return the headers that bring its token."""
    return with_token(LockToken.objects.acquire(obj).token_str)


def assert_refused(answer, status, error):
    """Check that the answer is this refusal, and all that such a refusal tells."""
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    tells = HOLDER if error in ("locked", "wrong_token", "not_locked") else ()
    assert answer.json().keys() == {"error", "detail", *tells}
    assert answer["Content-Type"] == "application/json"
    assert "Lock-Expires-At" not in answer
    assert ("Retry-After" in answer) == (status == 503)


def assert_refuses(send, status, error=None, **headers):
    """Send it: it is refused so, and changes nothing. Return the answer."""
    before = database()
    answer = send(**headers)
    assert answer.status_code == status
    assert database() == before
    if error is not None:
        assert_refused(answer, status, error)
    return answer


def refused_without_its_lock(send, obj):
    """Lock the object, and return its token: nothing else is let through."""
    token = LockToken.objects.acquire(obj).token_str
    assert_refuses(send, 423, "locked")
    assert_refuses(send, 412, "wrong_token", **with_token(VOID))
    return token


def needs_the_lock(send, obj):
    """Lock the object, and let nothing but its token through; then without a lock."""
    token = refused_without_its_lock(send, obj)
    answer = send(**with_token(token))
    assert answer.status_code == 200
    assert "Lock-Expires-At" in answer
    assert lock_row(obj).get().token_str == token
    lock_row(obj).delete()
    assert_refuses(send, 412, "not_locked", **with_token(token))
    assert send().status_code == 200
    assert not LockToken.objects.exists()


def rename(obj, request):
    obj.title = request.data.get("title", "Renamed")
    obj.save()
    return Response({"title": obj.title})


def checked(view, pk):
    """Return an article whose permission the view has checked."""
    article = get_object_or_404(Article, pk=pk)
    view.check_object_permissions(view.request, article)
    return article


class Finds:
    """Handlers for every unsafe method that write to what ``find()`` gives."""

    def post(self, request, **kwargs):
        return rename(self.find(), request)

    put = patch = delete = post
