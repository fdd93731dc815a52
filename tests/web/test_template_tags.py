"""The template tags: the client on a page, and all that the admin's pages show."""

import subprocess
import sys

import django
import pytest
from django.contrib.auth.models import AnonymousUser
from django.http import HttpResponse
from django.template import Context, RequestContext, Template
from django.test import Client, RequestFactory
from django.urls import (
    NoReverseMatch,
    clear_script_prefix,
    include,
    path,
    reverse_lazy,
    set_script_prefix,
)
from django.utils.functional import SimpleLazyObject

from lock_tokens.models import LockToken
from tests.models import Article, Label
from tests.support.api import send
from tests.support.helpers import expire
from tests.support.html import Page

LOAD = "{% load lock_tokens_tags %}"
TAG = f"{LOAD}{{% lock_tokens_api_client %}}"
WITH_BASE = f"{LOAD}{{% lock_tokens_api_client base %}}"
API = path("api/", include("lock_tokens.urls"))


def script_of(html):
    """Return the attributes of the one element that there is."""
    elements = Page(html)
    ((tag, attributes),) = elements.tags
    assert tag == "script"
    assert elements.text.strip() == ""
    return attributes


def page(request):
    """A page with the client, as any project has one."""
    html = Template(TAG).render(RequestContext(request))
    return HttpResponse(html)


urlpatterns = [API, path("page/", page)]
pytestmark = [
    pytest.mark.urls(__name__),
    pytest.mark.django_db,
    pytest.mark.any_database,
]


@pytest.fixture
def request_(rf):
    return rf.get("/page/")


@pytest.fixture
def render():
    """Render a template with a request, or without."""

    def render(template=TAG, request=None, **context):
        if request is None:
            return script_of(Template(template).render(Context(context)))
        return script_of(Template(template).render(RequestContext(request, context)))

    return render


# The element


def test_one_external_script_that_waits_for_the_document(settings, render, request_):
    settings.STATIC_URL = "/files/"
    script = render(request=request_)
    assert script == {
        "src": "/files/lock_tokens/lock_tokens.js",
        "defer": None,
        "data-lock-tokens-url": "/api/",
        "data-csrf-header": "X-CSRFTOKEN",
        "data-csrf-cookie": "csrftoken",
    }


def test_it_needs_no_request(render):
    script = render()
    assert script["data-lock-tokens-url"] == "/api/"
    assert script["data-csrf-cookie"] == "csrftoken"
    assert "nonce" not in script


# Where the API is


@pytest.mark.parametrize("namespace", ["lock_tokens", "lock-tokens", None])
def test_the_address_in_each_namespace(settings, render, request_, namespace):
    included = include("lock_tokens.urls", namespace=namespace)
    settings.ROOT_URLCONF = (path("a/b/", included),)
    assert render()["data-lock-tokens-url"] == "/a/b/"
    assert render(request=request_)["data-lock-tokens-url"] == "/a/b/"


def test_of_two_the_one_of_the_page_s_namespace(settings, render, rf):
    settings.ROOT_URLCONF = (
        path("one/", include("lock_tokens.urls", namespace="one")),
        path("two/", include("lock_tokens.urls", namespace="two")),
    )
    for namespace in ("one", "two"):
        request = rf.get("/")
        request.current_app = namespace
        script = render(request=request)
        assert script["data-lock-tokens-url"] == f"/{namespace}/"


def test_the_namespace_of_the_page_itself_is_looked_at(settings, client):
    """As Django's ``url`` tag does, without anybody setting ``current_app``."""
    there = ([path("page/", page), *include("lock_tokens.urls")[0].urlpatterns],)
    settings.ROOT_URLCONF = (
        path("one/", include((*there, "lock_tokens"), namespace="one")),
        path("two/", include((*there, "lock_tokens"), namespace="two")),
    )
    for namespace in ("one", "two"):
        script = script_of(client.get(f"/{namespace}/page/").content.decode())
        assert script["data-lock-tokens-url"] == f"/{namespace}/"


class Address:
    def __str__(self):
        return "/there/locks"


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("/there/locks/", "/there/locks/"),
        ("/there/locks", "/there/locks/"),
        (Address(), "/there/locks/"),
        (reverse_lazy("lock_tokens:states-view", args=["a", "b"]), "/api/a/b/"),
        ("", "/api/"),
        (None, "/api/"),
        *[
            (nasty, nasty)
            for nasty in (
                '/"><script>alert(1)</script>/',
                "/'onload='x/",
                "/a&amp;b/",
                "/</script>/",
            )
        ],
    ],
)
def test_a_base_url_may_be_given(render, base, url):
    assert render(WITH_BASE, base=base)["data-lock-tokens-url"] == url


def test_a_base_url_may_be_written_in_the_template(render):
    literal = f"{LOAD}{{% lock_tokens_api_client '/there/locks' %}}"
    assert render(literal)["data-lock-tokens-url"] == "/there/locks/"


def test_below_another_namespace_it_has_to_be_given(settings, render):
    settings.ROOT_URLCONF = (path("x/", include(([API], "outer"), namespace="outer")),)
    with pytest.raises(NoReverseMatch):
        render()
    template = (
        LOAD + "{% url 'outer:lock_tokens:states-view' 'a' 'm' as there %}"
        "{% lock_tokens_api_client '/x/api/' %}"
    )
    assert render(template)["data-lock-tokens-url"] == "/x/api/"


def test_an_api_that_is_not_included_is_a_clear_error(settings, render, request_):
    settings.ROOT_URLCONF = (path("page/", page),)
    for request in (None, request_):
        with pytest.raises(
            NoReverseMatch, match=r"needs lock_tokens\.urls in the URLconf"
        ):
            render(request=request)
    script = render(WITH_BASE, base="/elsewhere/")
    assert script["data-lock-tokens-url"] == "/elsewhere/"


@pytest.fixture
def script_name():
    set_script_prefix("/project/")  # as Django does for each request of a server
    yield
    clear_script_prefix()


def test_below_a_script_name(render, request_, script_name):
    assert render(request=request_)["data-lock-tokens-url"] == "/project/api/"


def test_without_autoescape_too_everything_stays_in_its_attribute(settings, render):
    settings.CSRF_COOKIE_HTTPONLY = True
    nasty = "\"><script>alert('1 & 2')</script>/"
    template = f"{{% autoescape off %}}{WITH_BASE}{{% endautoescape %}}"
    script = render(template, base=nasty, csp_nonce=nasty, csrf_token=nasty)
    assert script["data-lock-tokens-url"] == nasty
    assert script["nonce"] == nasty
    assert script["data-csrf-token"] == nasty


# Nonce


def test_a_nonce_of_the_context(render):
    assert render(csp_nonce="abc")["nonce"] == "abc"
    assert render(csp_nonce=SimpleLazyObject(lambda: "lazy"))["nonce"] == "lazy"


def test_a_nonce_of_the_request(render, request_):
    request_.csp_nonce = SimpleLazyObject(lambda: "of django-csp")
    assert render(request=request_)["nonce"] == "of django-csp"
    assert render(request=request_, csp_nonce="nearer")["nonce"] == "nearer"


def test_without_a_nonce_there_is_no_attribute(render, request_):
    assert "nonce" not in render(request=request_)
    assert "nonce" not in render(request=request_, csp_nonce=None)


@pytest.mark.parametrize("name", ["a request for leave", "", 5, None])
def test_a_variable_request_that_is_no_request_is_ignored(settings, request_, name):
    settings.CSRF_COOKIE_HTTPONLY = True
    request_.csp_nonce = "of the request"
    html = Template(TAG).render(RequestContext(request_, {"request": name}))
    script = script_of(html)
    assert script["nonce"] == "of the request"
    assert len(script["data-csrf-token"]) == 64
    without = script_of(Template(TAG).render(Context({"request": name})))
    assert without["data-lock-tokens-url"] == "/api/"
    assert "data-csrf-token" not in without


@pytest.mark.skipif(django.VERSION < (6, 0), reason="Django has no policies before 6.0")
def test_django_s_own_nonce_is_the_one_of_the_header(settings, client):
    """It is made when it is first asked for, and false until then."""
    processor = "django.template.context_processors.csp"
    settings.TEMPLATES = [
        {
            **settings.TEMPLATES[0],
            "OPTIONS": {"context_processors": [processor, *processors(settings)]},
        }
    ]
    settings.MIDDLEWARE = [
        "django.middleware.csp.ContentSecurityPolicyMiddleware",
        *settings.MIDDLEWARE,
    ]
    settings.SECURE_CSP = {"script-src": ["<CSP_NONCE_SENTINEL>"]}
    answer = client.get("/page/")
    nonce = script_of(answer.content.decode())["nonce"]
    assert len(nonce) > 16
    assert answer["Content-Security-Policy"] == f"script-src 'nonce-{nonce}'"


def processors(settings):
    return settings.TEMPLATES[0]["OPTIONS"]["context_processors"]


# CSRF


@pytest.mark.parametrize("name", ["CSRF_USE_SESSIONS", "CSRF_COOKIE_HTTPONLY"])
def test_a_token_that_no_script_can_read_in_the_cookie_is_in_the_page(
    settings, render, request_, name
):
    setattr(settings, name, True)
    request_.session = {}
    script = render(request=request_)
    assert len(script["data-csrf-token"]) == 64
    assert "data-csrf-cookie" not in script
    assert render(csrf_token="of the context")["data-csrf-token"] == "of the context"
    assert "data-csrf-token" not in render()


def test_renamed_cookie_and_header(settings, render, request_):
    settings.CSRF_COOKIE_NAME = "our_cookie"
    settings.CSRF_HEADER_NAME = "HTTP_X_OUR_TOKEN"
    script = render(request=request_)
    assert script["data-csrf-cookie"] == "our_cookie"
    assert script["data-csrf-header"] == "X-OUR-TOKEN"
    assert "data-csrf-token" not in script


def test_where_the_api_is_exempt_the_client_needs_nothing(settings, render, request_):
    settings.LOCK_TOKENS = {"API_CSRF_EXEMPT": True}
    script = render(request=request_)
    assert not [name for name in script if name.startswith("data-csrf")]
    assert "CSRF_COOKIE" not in request_.META


def lock_from_the_page(client):
    """Load the page, and acquire as the client does, by what the page says."""
    answer = client.get("/page/")
    script = script_of(answer.content.decode())
    token = script.get("data-csrf-token")
    if token is None:
        token = client.cookies[script["data-csrf-cookie"]].value
    article = Article.objects.create()
    url = f"{script['data-lock-tokens-url']}tests/article/{article.pk}/"
    return send(client, "POST", url, **{script["data-csrf-header"]: token})


@pytest.mark.parametrize(
    "names",
    [
        {},
        {"CSRF_USE_SESSIONS": True},
        {"CSRF_COOKIE_HTTPONLY": True},
        {"CSRF_COOKIE_NAME": "a", "CSRF_HEADER_NAME": "HTTP_B_C"},
    ],
)
@pytest.mark.parametrize("has_request", [True, False])
def test_what_a_page_says_is_enough_to_acquire(settings, names, has_request):
    if not has_request:  # the context processor is not obligatory
        settings.TEMPLATES = [{**settings.TEMPLATES[0], "OPTIONS": {}}]
    for name, value in names.items():
        setattr(settings, name, value)
    assert lock_from_the_page(Client(enforce_csrf_checks=True)).status_code == 201


def test_the_page_with_the_client_sets_the_cookie(client):
    answer = client.get("/page/")
    assert answer.cookies["csrftoken"].value
    assert "Cookie" in answer["Vary"]


def test_a_request_of_a_test_without_middleware_will_do(settings):
    settings.MIDDLEWARE = []
    script = script_of(page(RequestFactory().get("/")).content.decode())
    assert script["data-lock-tokens-url"] == "/api/"


# All that the admin's pages show: {% admin_lock_handler %}


HANDLER = (
    f"{LOAD}<form method='post'>{{% admin_lock_handler app model key token %}}</form>"
)


@pytest.fixture
def handler(rf, alice):
    """Render the tag about an object, on a page of Alice's; return its elements."""

    def handler(obj=None, token=None, request="alice's", **names):
        if request == "alice's":
            request = rf.get("/page/?a=b")
            request.user = alice
        if obj is not None:
            names = {"app": "tests", "model": "article", "key": obj.pk, **names}
        values = {"token": token, **names}
        context = RequestContext(request, values) if request else Context(values)
        return Page(Template(HANDLER).render(context))

    return handler


def all_of(elements, tag, **attributes):
    return [found for found in elements.of(tag) if attributes.items() <= found.items()]


def config_of(elements):
    """Return what the page says of its lock."""
    (config,) = all_of(elements, "div", id="lock-tokens")
    return config


def token_in(elements):
    return [field["value"] for field in all_of(elements, "input", name="lock_token")]


def scripts_of(elements):
    return [script["src"].rpartition("/")[2] for script in all_of(elements, "script")]


def test_with_a_token_the_page_holds_the_lock(handler, article, held):
    page = handler(article, held["token"])
    config = config_of(page)
    assert config["data-state"] == "held"
    assert config["data-app-label"] == "tests"
    assert config["data-model"] == "article"
    assert config["data-object-id"] == str(article.pk)
    assert config["data-token"] == held["token"]
    assert config["data-url"] == "/page/?a=b"
    assert config["data-user"] == "Alice Liddell"
    assert "data-bound" not in config
    assert token_in(page) == [held["token"]]
    assert scripts_of(page) == ["lock_tokens.js", "page.js"]
    (style,) = all_of(page, "link")
    assert style["href"].endswith("lock_tokens/page.css")


def test_a_page_that_answers_a_form_says_so(handler, article, held, rf):
    """What is in its fields was typed, and is to be lost by no reload."""
    page = handler(article, held["token"], request=rf.post("/page/"))
    assert "data-bound" in config_of(page)


@pytest.mark.parametrize("token", ["", None])
def test_without_a_token_the_page_shows_who_holds_it(handler, article, bob, token):
    lock = LockToken.objects.acquire(article, user=bob)
    page = handler(article, token)
    assert config_of(page)["data-state"] == "locked"
    assert "data-token" not in config_of(page)
    assert token_in(page) == []
    assert lock.token_str not in str(page.tags)
    assert "bob" in page.text
    assert scripts_of(page) == ["lock_tokens.js", "page.js"]


def test_one_s_own_lock_elsewhere_is_told_to_be_that(handler, article, held):
    page = handler(article)
    assert config_of(page)["data-state"] == "elsewhere"
    assert token_in(page) == []
    expire(article)
    page = handler(article)
    assert config_of(page)["data-state"] == "locked"
    assert "Liddell" not in page.text


def test_whoever_is_not_signed_in_is_nobody_s_own(handler, article, rf):
    LockToken.objects.acquire(article)
    request = rf.get("/page/")
    request.user = AnonymousUser()
    for asked in (request, rf.get("/page/")):
        shown = handler(article, request=asked)
        assert "Somebody else" in shown.text
        config = config_of(shown)
        assert config["data-state"] == "locked"
        assert config["data-user"] == ""


def test_the_tag_needs_no_request(handler, article, held):
    page = handler(article, held["token"], request=None)
    assert config_of(page)["data-state"] == "held"
    assert config_of(page)["data-url"] == ""
    assert token_in(page) == [held["token"]]
    assert config_of(handler(article, request=None))["data-state"] == "locked"


@pytest.mark.parametrize(
    ("app", "model"), [("tests", "nothing"), ("nowhere", "article"), ("", "")]
)
def test_a_model_that_does_not_exist_is_a_clear_error(handler, app, model):
    with pytest.raises(LookupError):
        handler(app=app, model=model, key=1)


@pytest.mark.parametrize("key", [0, "no number", "", None])
@pytest.mark.parametrize("token", [None, "0" * 32])
def test_an_object_that_does_not_exist_has_no_client(handler, key, token):
    page = handler(app="tests", model="article", key=key, token=token)
    assert config_of(page)["data-state"] == ("held" if token else "locked")
    assert token_in(page) == ([token] if token else [])
    assert scripts_of(page) == []


@pytest.mark.parametrize("has_api", [False, True])
def test_without_the_api_there_is_no_client(settings, handler, article, held, has_api):
    if has_api:  # it does not know the model
        settings.LOCK_TOKENS = {"API_MODELS": ["tests.Page"]}
    else:
        settings.ROOT_URLCONF = (path("page/", page),)
    shown = handler(article, held["token"])
    assert config_of(shown)["data-state"] == "held"
    assert token_in(shown) == [held["token"]]
    assert scripts_of(shown) == []


def test_model_and_key_may_be_spelled_otherwise(handler, article, held):
    """And a variable ``lock_page`` of the project's own is no page."""
    page = handler(
        article, held["token"], model="Article", key=str(article.pk), lock_page="page 5"
    )
    assert config_of(page)["data-model"] == "article"
    assert config_of(page)["data-object-id"] == str(article.pk)
    assert config_of(page)["data-token"] == held["token"]
    assert scripts_of(page) == ["lock_tokens.js", "page.js"]


def test_nasty_names_stay_text(handler, rf, bob):
    nasty = bob.first_name = "\"><script>alert('1')</script>"
    bob.save()
    label = Label.objects.create(name=nasty)
    LockToken.objects.acquire(label, user=bob)
    request = rf.get("/page/", {"q": nasty})
    request.user = bob
    for asked in ("alice's", request):
        page = handler(label, model="label", key=label.pk, request=asked)
        assert config_of(page)["data-object-id"] == nasty
        assert scripts_of(page) == ["lock_tokens.js", "page.js"]


def test_the_tag_twice_shows_it_once(rf, article, held):
    tag = f"{{% admin_lock_handler 'tests' 'article' {article.pk} token %}}"
    context = RequestContext(rf.get("/page/"), {"token": held["token"]})
    page = Page(Template(f"{LOAD}{tag}{{% if 1 %}}{tag}{{% endif %}}").render(context))
    assert scripts_of(page) == ["lock_tokens.js", "page.js"]


WITHOUT_ADMIN = """
import django
from django.conf import settings

settings.configure(
    SECRET_KEY="for tests alone",
    USE_TZ=True,
    ROOT_URLCONF="lock_tokens.urls",
    INSTALLED_APPS=[
        "django.contrib.contenttypes", "django.contrib.auth", "lock_tokens",
    ],
    DATABASES={
        "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
    },
    TEMPLATES=[{
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
    }],
)
django.setup()
import sys
from django.apps import apps
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.template import Context, Template

call_command("check")
call_command("migrate", verbosity=0)
lock = apps.get_model("lock_tokens", "LockToken").objects.acquire(
    Group.objects.create(name="editors")
)
template = Template(
    "{% load lock_tokens_tags %}{% admin_lock_handler 'auth' 'group' 1 token %}"
)
for token in (lock.token_str, ""):
    print("STATE", template.render(Context({"token": token})))
assert "django.contrib.admin.models" not in sys.modules
"""


def test_the_tags_need_no_admin():
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_ADMIN], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    held, locked = done.stdout.split("STATE")[1:]
    assert 'data-state="held"' in held
    assert 'name="lock_token"' in held
    assert 'data-state="locked"' in locked
    assert 'name="lock_token"' not in locked
