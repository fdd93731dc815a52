"""Who may use the JSON API."""

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser, Permission
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.test import RequestFactory

from lock_tokens import permissions
from lock_tokens.models import LockToken
from lock_tokens.permissions import (
    allow_any,
    can_change,
    get_permission,
    is_authenticated,
    is_permitted,
    is_staff,
)
from tests.models import Article, ArticleProxy
from tests.support.api import address, error_of, states_of

pytestmark = [pytest.mark.urls("tests.support.api"), pytest.mark.django_db]

VOID = "0" * 32


class OwnObjects:
    """A backend that lets people change the articles that bear their name."""

    def has_perm(self, user, permission, obj=None):
        return (
            permission == "tests.change_article"
            and obj is not None
            and obj.title == user.get_username()
        )


def denies(request, model, obj):
    raise PermissionDenied


def finds_nothing(request, model, obj):
    raise Http404


@pytest.fixture
def article():
    return Article.objects.create(title="alice")


def with_change_of(model):
    permission = Permission.objects.get(
        content_type=ContentType.objects.get_for_model(model, for_concrete_model=False),
        codename=f"change_{model._meta.model_name}",
    )
    user = get_user_model().objects.create(username="editor")
    user.user_permissions.add(permission)
    return user


@pytest.fixture
def users(db):
    """Somebody of each kind, by name."""
    create = get_user_model().objects.create
    return {
        "nobody": AnonymousUser(),
        "user": create(username="user"),
        "staff": create(username="staff", is_staff=True),
        "retired staff": create(username="old", is_staff=True, is_active=False),
        "superuser": create(username="root", is_superuser=True),
        "retired superuser": create(
            username="gone", is_superuser=True, is_staff=True, is_active=False
        ),
        "editor": with_change_of(Article),
        "owner": create(username="alice"),
    }


def request_of(user):
    request = RequestFactory().get("/")
    if user is not None:
        request.user = user
    return request


def those_whom(permission, users, obj):
    return {
        name
        for name, user in users.items()
        if permission(request_of(user), Article, obj) is True
    }


def test_whom_each_lets_in(settings, users, article):
    changing = {"editor", "superuser"}
    for obj in (article, None):
        assert those_whom(allow_any, users, obj) == set(users)
        assert those_whom(is_authenticated, users, obj) == set(users) - {"nobody"}
        assert those_whom(is_staff, users, obj) == {"staff"}
        assert those_whom(can_change, users, obj) == changing
    settings.AUTHENTICATION_BACKENDS = [
        "django.contrib.auth.backends.ModelBackend",
        f"{__name__}.OwnObjects",
    ]
    assert those_whom(can_change, users, article) == {*changing, "owner"}
    assert those_whom(can_change, users, None) == changing


def test_can_change_of_a_proxy_is_the_proxy_s_own(article):
    editor = with_change_of(Article)
    proxy = ArticleProxy.objects.get()
    assert not can_change(request_of(editor), ArticleProxy, proxy)
    editor.delete()
    editor = with_change_of(ArticleProxy)
    assert can_change(request_of(editor), ArticleProxy, proxy)
    assert not can_change(request_of(editor), Article, article)


# Which one


def test_everybody_may_where_the_project_says_nothing():
    assert get_permission() is allow_any


@pytest.mark.parametrize(
    "name", ["allow_any", "is_authenticated", "is_staff", "can_change"]
)
def test_a_dotted_path_or_the_function_itself(settings, name):
    function = getattr(permissions, name)
    for value in (f"lock_tokens.permissions.{name}", function):
        settings.LOCK_TOKENS = {"API_PERMISSION": value}
        assert get_permission() is function


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("no.such.thing", ImportError),
        ("allow_any", ImportError),
        ("", ImportError),
        ("lock_tokens.permissions.no", ImportError),
        ("lock_tokens.settings.MAX_TIMEOUT", TypeError),
        (None, TypeError),
        (True, TypeError),
        ([allow_any], TypeError),
    ],
)
def test_what_is_no_permission_lets_nobody_in(client, settings, article, value, error):
    settings.LOCK_TOKENS = {"API_PERMISSION": value}
    with pytest.raises(error):
        get_permission()
    with pytest.raises(error):
        client.post(address(article))
    assert not LockToken.objects.exists()


# In the API


def urls_of(article):
    return [
        ("GET", states_of(Article, article.pk)),
        ("GET", address(article)),
        ("POST", address(article)),
        ("GET", address(article, VOID)),
        ("PATCH", address(article, VOID)),
        ("DELETE", address(article, VOID)),
    ]


@pytest.mark.parametrize("permission", [is_authenticated, is_staff, can_change, denies])
def test_every_call_asks_for_permission(client, settings, article, users, permission):
    settings.LOCK_TOKENS = {"API_PERMISSION": permission}
    for method, url in urls_of(article):
        answer = client.generic(method, url)
        assert (answer.status_code, error_of(answer)) == (403, "not_authenticated")
    assert not LockToken.objects.exists()
    if permission is is_authenticated:
        return
    # Whoever is signed in is told that it is not for them.
    client.force_login(users["user"])
    for method, url in urls_of(article):
        answer = client.generic(method, url)
        assert (answer.status_code, error_of(answer)) == (403, "permission_denied")


def test_whoever_may_gets_through(client, settings, article, users):
    settings.LOCK_TOKENS = {"API_PERMISSION": "lock_tokens.permissions.can_change"}
    client.force_login(users["editor"])
    assert client.post(address(article)).status_code == 201
    assert client.get(states_of(Article, article.pk)).status_code == 200


@pytest.mark.parametrize("permission", [can_change, is_staff])
def test_who_may_not_cannot_tell_which_objects_there_are(client, settings, permission):
    article = Article.objects.create()
    settings.LOCK_TOKENS = {"API_PERMISSION": permission}
    there = [client.generic(*call).content for call in urls_of(article)]
    article_that_was = Article(pk=article.pk)
    article.delete()
    assert [
        client.generic(*call).content for call in urls_of(article_that_was)
    ] == there


@pytest.mark.parametrize("refuse", [lambda *args: False, denies, finds_nothing])
def test_a_state_that_one_may_not_know_is_null(client, settings, refuse):
    published = Article.objects.create(title="published")
    draft = Article.objects.create(title="draft")
    draft.lock()

    def permission(request, model, obj):
        is_published = obj is not None and obj.title == "published"
        return is_published or refuse(request, model, obj)

    settings.LOCK_TOKENS = {"API_PERMISSION": permission}
    answer = client.get(states_of(Article, draft.pk, published.pk, 999))
    assert answer.status_code == 200
    states = answer.json()["states"]
    assert states[str(draft.pk)] is states["999"] is None
    assert states[str(published.pk)]["locked"] is False
    for keys in ([draft.pk, 999], [draft.pk], [999]):
        answer = client.get(states_of(Article, *keys))
        assert (answer.status_code, error_of(answer)) == (403, "not_authenticated")


def test_is_permitted_says_no_for_a_permission_that_raises(settings, article):
    request = request_of(None)
    for permission, permitted in (
        (denies, False),
        (finds_nothing, False),
        (is_staff, False),
        (allow_any, True),
    ):
        settings.LOCK_TOKENS = {"API_PERMISSION": permission}
        assert is_permitted(request, Article, article) is permitted
        assert is_permitted(request, Article, None) is permitted
    settings.LOCK_TOKENS = {"API_PERMISSION": "no.such.thing"}
    with pytest.raises(ImportError):
        is_permitted(request, Article, article)


def test_a_permission_is_given_the_request_the_model_and_the_object(
    client, settings, article
):
    asked = []

    def record(request, model, obj):
        asked.append((request.method, model, obj))
        return True

    settings.LOCK_TOKENS = {"API_PERMISSION": record}
    client.post(address(article))
    client.get(address(Article(pk=999)))
    client.get(states_of(ArticleProxy, article.pk))
    assert asked == [
        ("POST", Article, article),
        ("GET", Article, None),
        ("GET", ArticleProxy, ArticleProxy.objects.get()),
    ]
