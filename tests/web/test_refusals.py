"""The page of a refusal: what it tells, what it gives back, what it keeps to itself."""

import pytest
from django.http import Http404
from django.test import Client, RequestFactory
from django.utils import timezone, translation
from django.utils.formats import date_format
from django.views.decorators.debug import sensitive_post_parameters

from lock_tokens.decorators import locks_object, requires_lock_on_object
from lock_tokens.exceptions import AlreadyLockedError, InvalidToken
from lock_tokens.models import LockToken
from lock_tokens.refusals import DEFAULT_TEMPLATE, TOKEN_FIELD, refuse, submitted_fields
from lock_tokens.sessions import remember
from tests.models import Article, Label
from tests.support.helpers import of_url
from tests.support.html import page_of
from tests.support.views import here, use_template

pytestmark = pytest.mark.django_db

TYPED = [
    "plain",
    "  spaces around  ",
    "\nbegins with a newline",
    "\n\nwith two",
    "\r\nas browsers send it\r\nline",
    "ends with a newline\n",
    "</textarea><script>alert(1)</script>",
    "<b>&amp;&lt;</b> \" ' &",
    "{{ request }} {% now 'Y' %}",
    "Grüße, 日本語 🔒",
    "x" * 100_000,
    "\t",
]


@pytest.fixture
def save(serve):
    """Serve a view that saves."""
    serve(requires_lock_on_object(Article, of_url)(here))


@pytest.fixture
def edit(serve):
    """Serve a view that locks."""
    serve(locks_object(Article, of_url)(here))


# What it tells


def test_a_locked_object_s_page_names_the_holder_and_the_times(
    edit, client, article, held
):
    answer = client.get(f"/{article.pk}/")
    assert answer.status_code == 403
    assert answer["Cache-Control"] == "no-store"
    assert answer["Content-Type"] == "text/html; charset=utf-8"
    lock = LockToken.objects.get_for_object(article)
    page = page_of(answer)
    assert "Somebody else is editing this" in page.text
    assert "alice" in page.text
    assert str(article) in page.text
    for time in (lock.locked_at, lock.expires_at):
        assert date_format(timezone.localtime(time), "DATETIME_FORMAT") in page.text
    assert page.textareas == []
    head = client.head(f"/{article.pk}/")
    assert (head.status_code, head.content) == (403, b"")


@pytest.mark.parametrize("use_tz", [True, False])
def test_times_are_in_the_reader_s_time_zone(edit, client, article, settings, use_tz):
    settings.USE_TZ = use_tz
    settings.TIME_ZONE = "Pacific/Auckland"
    article.lock()
    expiry = LockToken.objects.get_for_object(article).expires_at
    page = page_of(client.get(f"/{article.pk}/"))
    if use_tz:
        assert date_format(expiry, "DATETIME_FORMAT") not in page.text
        expiry = timezone.localtime(expiry)
    assert date_format(expiry, "DATETIME_FORMAT") in page.text


def test_an_unknown_holder_is_not_named(edit, client, article):
    article.lock()
    page = page_of(client.get(f"/{article.pk}/"))
    assert f"{article} is locked." in page.text
    assert "None" not in page.text


@pytest.mark.parametrize("is_taken", [False, True])
def test_a_void_token_s_page_says_that_the_lock_has_ended_and_who_holds_it_now(
    save, client, article, alice, is_taken
):
    void = article.lock()["token"]
    article.unlock(void)
    if is_taken:
        article.lock(user=alice)
    answer = client.post(f"/{article.pk}/", {"lock_token": void, "title": "Mine"})
    assert answer.status_code == 403
    page = page_of(answer)
    assert "You are no longer editing this" in page.text
    assert str(article) in page.text
    assert "were not saved" in page.text
    assert "Somebody else is editing this" not in page.text
    assert ("alice is editing it now" in page.text) is is_taken


@pytest.mark.parametrize("view", ["edit", "save"])
def test_input_for_an_object_that_is_gone_is_given_back(view, client, request, article):
    request.getfixturevalue(view)
    url = f"/{article.pk}/"
    article.delete()
    answer = client.post(url, {"title": "Mine", "password": "hunter2"})
    assert answer.status_code == 404
    assert answer["Cache-Control"] == "no-store"
    page = page_of(answer)
    assert "This is no longer available" in page.text
    assert page.textareas == ["Mine"]
    assert page.of("a") == []
    # Without input the project's own 404 page is enough.
    for answer in (client.get(url), client.post(url), client.post(url, {"title": ""})):
        assert answer.status_code == 404
        assert "This is no longer available" not in answer.content.decode()


def test_names_are_escaped(serve, client, bob):
    evil = bob.username = "<script>alert('x')</script>"
    bob.save()
    label = Label.objects.create(name=evil)
    label.lock(user=bob)
    serve(locks_object(Label, lambda request, key: evil)(here))
    answer = client.get("/x/?next=<script>")
    page = page_of(answer)
    assert page.of("script") == []
    assert page.text.count(evil) == 2
    assert "<script" not in answer.content.decode()


def test_the_page_speaks_the_reader_s_language(edit, client, article):
    article.lock()
    with translation.override("de"):
        answer = client.get(f"/{article.pk}/")
    page = page_of(answer)
    assert page.of("html") == [{"lang": "de"}]
    assert "Das bearbeitet gerade jemand anders" in page.text


def test_the_page_works_under_a_strict_content_security_policy(save, client, article):
    page = page_of(client.post(f"/{article.pk}/", {"title": "Mine"}))
    assert page.of("script") == []
    assert page.of("style") == []
    for _, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")]
        assert "style" not in attributes


# What was typed


@pytest.mark.parametrize("value", TYPED, ids=lambda value: ascii(value)[:20])
def test_what_was_typed_is_in_the_page_to_the_letter(save, client, article, value):
    page = page_of(client.post(f"/{article.pk}/", {"title": value}))
    normal = value.replace("\r\n", "\n")
    assert [text.replace("\r\n", "\n") for text in page.textareas] == [normal]
    assert page.labels == ["title"]
    assert page.of("script") == []


def test_every_field_and_every_value_is_there_in_order(save, client, article):
    answer = client.post(
        f"/{article.pk}/",
        {"title": "T", "tags": ["a", "b", "a"], "<script>": "S", "empty": ""},
    )
    page = page_of(answer)
    assert page.labels == ["title", "tags", "tags", "tags", "<script>"]
    assert page.textareas == ["T", "a", "b", "a", "S"]
    assert page.of("script") == []


def test_the_text_can_be_selected_and_has_a_label(save, client, article):
    page = page_of(client.post(f"/{article.pk}/", {"title": "T", "body": "B" * 200}))
    ids = [attributes["id"] for attributes in page.of("textarea")]
    assert ids == [attributes["for"] for attributes in page.of("label")]
    assert len(set(ids)) == 2
    for attributes in page.of("textarea"):
        assert "readonly" in attributes
        assert "disabled" not in attributes


def test_a_urlencoded_form_is_there_too(save, client, article):
    answer = client.post(
        f"/{article.pk}/",
        "title=%0AMine+%26+yours&body=%3Cb%3E",
        content_type="application/x-www-form-urlencoded",
    )
    assert page_of(answer).textareas == ["\nMine & yours", "<b>"]


def test_a_request_without_a_form_has_no_such_section(save, client, article):
    for answer in (
        client.get(f"/{article.pk}/?title=Mine"),
        client.post(f"/{article.pk}/"),
        client.post(f"/{article.pk}/", {"title": ""}),
        client.post(f"/{article.pk}/", {"a": 1}, content_type="application/json"),
    ):
        assert answer.status_code == 403
        assert answer.context["submitted"] == []
        assert "What you entered" not in page_of(answer).text


# What it keeps to itself


def test_no_token_and_no_password_is_in_the_page(save, article):
    client = Client(enforce_csrf_checks=True)
    client.cookies["csrftoken"] = secret = "c" * 32
    in_the_session, in_the_form = "a" * 32, article.lock()["token"]
    session = client.session
    remember(article, session, in_the_session)
    session.save()
    client.cookies["sessionid"] = session.session_key
    article.unlock(in_the_form)
    current_token = article.lock()["token"]
    answer = client.post(
        f"/{article.pk}/",
        {
            "title": "Mine",
            TOKEN_FIELD: in_the_form,
            "csrfmiddlewaretoken": secret,
            "password": "hunter2",
            "new_password1": "hunter3",
            "PASSWORD": "hunter4",
        },
    )
    assert answer.status_code == 403
    page = page_of(answer)
    assert page.textareas == ["Mine"]
    html = answer.content.decode()
    for hidden in (
        *(in_the_session, in_the_form, current_token, secret, session.session_key),
        *("hunter", "csrfmiddlewaretoken"),
    ):
        assert hidden not in html


@pytest.mark.parametrize(
    ("names", "shown"),
    [(("card", "pin"), ["Mine"]), (("pin",), ["Mine", "4111"]), ((), [])],
    ids=["two", "one", "all"],
)
def test_sensitive_post_parameters_are_not_in_the_page(
    serve, client, article, names, shown
):
    view = requires_lock_on_object(Article, of_url)(here)
    serve(sensitive_post_parameters(*names)(view))
    answer = client.post(
        f"/{article.pk}/", {"title": "Mine", "card": "4111", "pin": "0815"}
    )
    assert answer.status_code == 403
    assert page_of(answer).textareas == shown
    assert "0815" not in answer.content.decode()


# The way on


def retry_url(method, url, referer=None, **options):
    """Refuse such a request; return where the page of the refusal leads."""
    headers = {} if referer is None else {"Referer": referer}
    request = getattr(RequestFactory(), method)(url, headers=headers, **options)
    page = page_of(refuse(request, InvalidToken("Void.", Article(pk=1))))
    (link,) = page.of("a")
    return link["href"]


def test_a_page_that_was_opened_is_opened_again():
    assert retry_url("get", "/edit/1/?a=b&c=<") == "/edit/1/?a=b&c=%3C"
    assert retry_url("get", "/edit/1/", "http://testserver/") == "/edit/1/"


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_a_form_leads_back_to_the_page_that_it_came_from(method):
    referer = "http://testserver/edit/1/?a=b&c=d"
    assert retry_url(method, "/save/1/", referer) == referer


@pytest.mark.parametrize(
    "referer",
    [
        None,
        "",
        "https://elsewhere.example/edit/1/",
        "//elsewhere.example/",
        "javascript:alert(1)",
        "data:text/html,x",
        "http://testserver@elsewhere.example/",
    ],
)
def test_a_form_from_elsewhere_leads_to_its_own_url(referer):
    assert retry_url("post", "/save/1/", referer) == "/save/1/"


def test_a_secure_page_does_not_lead_to_an_insecure_one():
    referer = "http://testserver/edit/1/"
    assert retry_url("post", "/save/1/", referer, secure=True) == "/save/1/"


# The template's context, and another template


@pytest.mark.parametrize(
    ("view", "error", "is_taken"),
    [
        ("edit", AlreadyLockedError, True),
        ("save", InvalidToken, True),
        ("save", InvalidToken, False),
    ],
)
def test_the_context_tells_what_happened_and_who_holds_the_lock_now(
    request, client, article, alice, view, error, is_taken
):
    request.getfixturevalue(view)
    lock = LockToken.objects.acquire(article, user=alice) if is_taken else None
    answer = client.post(f"/{article.pk}/", {"title": "Mine"})
    context = answer.context
    assert isinstance(context["error"], error)
    assert context["object"] == article
    assert context["is_locked"] is (view == "edit")
    assert context["is_gone"] is False
    assert context["locked_by"] == (lock and alice)
    assert context["locked_at"] == (lock and lock.locked_at)
    assert context["expires_at"] == (lock and lock.expires_at)
    assert context["submitted"] == [("title", "Mine")]
    assert context["retry_url"] == f"/{article.pk}/"
    assert page_of(answer).textareas == ["Mine"]


def test_the_context_of_an_object_that_is_gone(save, client):
    context = client.post("/5/", {"title": "Mine"}).context
    assert isinstance(context["error"], Http404)
    assert context["object"] is None
    assert context["is_locked"] is False
    assert context["is_gone"] is True
    assert context["locked_by"] is None
    assert context["submitted"] == [("title", "Mine")]


def test_submitted_fields_for_pages_of_the_project_s_own():
    request = RequestFactory().post(
        "/", {"a": ["1", ""], "lock_token": "0" * 32, "password": "x", "b": "\n"}
    )
    assert submitted_fields(request) == [("a", "1"), ("b", "\n")]
    request.sensitive_post_parameters = ["a"]
    assert submitted_fields(request) == [("b", "\n")]
    assert submitted_fields(RequestFactory().get("/?a=1")) == []


def test_a_refusal_about_an_object_that_was_deleted_since_is_a_page_too(article):
    gone = Article.objects.get(pk=article.pk)
    gone.delete()
    request = RequestFactory().post("/", {"title": "Mine"})
    answer = refuse(request, InvalidToken("Void.", gone))
    assert answer.status_code == 403
    assert page_of(answer).textareas == ["Mine"]


def test_refuse_answers_for_views_of_the_project_s_own(article):
    request = RequestFactory().post("/", {"title": "Mine"})
    answer = refuse(request, AlreadyLockedError("Locked.", article))
    assert answer.status_code == 403
    assert answer["Cache-Control"] == "no-store"
    page = page_of(answer)
    assert f"{article} is locked." in page.text
    assert page.textareas == ["Mine"]
    # Neither the times nor the holder are known: none is invented.
    assert "Since" not in page.text
    assert "None" not in page.text.replace("Nothing is lost", "")


def test_refuse_takes_another_template(article, settings):
    use_template(settings, "{{ error }} {{ submitted|length }}")
    request = RequestFactory().post("/", {"title": "Mine"})
    answer = refuse(request, InvalidToken("Void.", article), "ours.html")
    assert answer.content == b"Void. 1"
    assert answer.status_code == 403
    assert DEFAULT_TEMPLATE == "lock_tokens/locked.html"
