"""``{% lock_tokens_api_client %}``: one script element, and what the client must know."""

from html.parser import HTMLParser

import django
import pytest
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

from tests.api import send
from tests.models import Article

LOAD = "{% load lock_tokens_tags %}"
TAG = f"{LOAD}{{% lock_tokens_api_client %}}"
WITH_BASE = f"{LOAD}{{% lock_tokens_api_client base %}}"
API = path("api/", include("lock_tokens.urls"))


class Elements(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.found = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data


def script_of(html):
    """Return the attributes of the one element that there is."""
    elements = Elements(html)
    ((tag, attributes),) = elements.found
    assert tag == "script"
    assert elements.text.strip() == ""
    return attributes


def page(request):
    """A page with the client, as any project has one."""
    html = Template(TAG).render(RequestContext(request))
    return HttpResponse(html)


urlpatterns = [API, path("page/", page)]
pytestmark = pytest.mark.urls(__name__)


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


@pytest.mark.parametrize("base", ["/there/locks/", "/there/locks"])
def test_a_base_url_may_be_given_with_a_slash_at_the_end_or_without(render, base):
    assert render(WITH_BASE, base=base)["data-lock-tokens-url"] == "/there/locks/"
    literal = f"{LOAD}{{% lock_tokens_api_client '{base}' %}}"
    assert render(literal)["data-lock-tokens-url"] == "/there/locks/"


@pytest.mark.parametrize("base", ["", None])
def test_a_base_url_of_nothing_is_none(render, base):
    assert render(WITH_BASE, base=base)["data-lock-tokens-url"] == "/api/"


def test_a_base_url_may_be_lazy(render):
    base = reverse_lazy("lock_tokens:states-view", args=["a", "b"])
    assert render(WITH_BASE, base=base)["data-lock-tokens-url"] == "/api/a/b/"


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


@pytest.mark.parametrize(
    "base",
    ['/"><script>alert(1)</script>/', "/'onload='x/", "/a&amp;b/", "/</script>/"],
)
def test_a_nasty_base_url_stays_in_its_attribute(render, base):
    assert render(WITH_BASE, base=base)["data-lock-tokens-url"] == base


class Address:
    def __str__(self):
        return "/there/locks"


def test_a_base_url_may_be_anything_with_a_text(render):
    assert render(WITH_BASE, base=Address())["data-lock-tokens-url"] == "/there/locks/"


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


def test_django_s_own_nonce_is_the_one_of_the_header(settings, client):
    """It is made when it is first asked for, and false until then."""
    if django.VERSION < (6, 0):
        pytest.skip("Django has Content-Security-Policy from 6.0")
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


@pytest.mark.django_db
@pytest.mark.parametrize(
    "names",
    [
        {},
        {"CSRF_USE_SESSIONS": True},
        {"CSRF_COOKIE_HTTPONLY": True},
        {"CSRF_COOKIE_NAME": "a", "CSRF_HEADER_NAME": "HTTP_B_C"},
    ],
)
def test_what_a_page_says_is_enough_to_acquire(settings, names):
    for name, value in names.items():
        setattr(settings, name, value)
    assert lock_from_the_page(Client(enforce_csrf_checks=True)).status_code == 201


@pytest.mark.django_db
@pytest.mark.parametrize(
    "names", [{}, {"CSRF_USE_SESSIONS": True}, {"CSRF_COOKIE_HTTPONLY": True}]
)
def test_a_project_without_the_request_in_its_templates_gets_by_too(settings, names):
    """The context processor is not obligatory; a RequestContext has the request."""
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
