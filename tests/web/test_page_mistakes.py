"""A page sends something else than its token: the log names the mistake."""

import pytest
from django.template import Context, Template

from lock_tokens.decorators import requires_lock_on_object
from lock_tokens.models import LockToken
from lock_tokens.web.request_tokens import log_mistake
from tests.models import Article
from tests.support.views import editor_of, not_reached, url_of

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nothing_logged_yet():
    log_mistake.cache_clear()


@pytest.fixture
def sent(serve, article, caplog):
    """Send a form or a header to a view that saves; return the mistakes in the log."""
    serve(requires_lock_on_object(Article, "key")(not_reached))
    client = editor_of(article)

    def sent(value, **options):
        caplog.clear()
        data = {} if options else {"lock_token": value}
        answer = client.post(url_of(article), data, **options)
        assert answer.status_code == 403
        return mistakes_in(caplog)

    return sent


def mistakes_in(caplog):
    warnings = [each.getMessage() for each in caplog.records if each.levelno == 30]
    return [text for text in warnings if "something else than a token" in text]


@pytest.mark.parametrize(
    ("value", "options", "words"),
    [
        ("", {}, "It is empty."),
        ("A1234", {}, "give the form a prefix"),
        (None, {"headers": {"Lock-Token": "undefined"}}, "Lock-Token"),
    ],
    ids=["empty", "a field of the project's own", "a header of a script"],
)
def test_a_mistake_is_logged_once_for_the_view(sent, value, options, words):
    (message,) = sent(value, **options)
    assert words in message
    assert sent(value, **options) == []


def test_the_whole_dict_in_the_field_is_logged_without_its_token(sent, article):
    lock = LockToken.objects.get()
    (message,) = sent(str(lock.serialize()))
    assert "{{ request.lock_token.token }}" in message
    assert lock.token_str not in message
    assert sent(str(lock.serialize())) == []


def test_the_tag_of_the_admin_s_parts_refuses_the_whole_dict(article):
    template = Template(
        "{% load lock_tokens_tags %}"
        "{% admin_lock_handler 'tests' 'article' article.pk lock_token %}"
    )
    context = Context({"article": article, "lock_token": article.lock()})
    with pytest.raises(TypeError, match=r'give its \["token"\]'):
        template.render(context)


def test_a_void_token_is_no_mistake_of_the_page(sent):
    assert sent("0" * 32) == []


def test_a_view_that_is_called_without_an_url_is_logged_too(
    rf, session, article, caplog
):
    request = rf.post("/", {"lock_token": ""})
    request.session = session
    view = requires_lock_on_object(Article, "key")(not_reached)
    assert view(request, key=article.pk).status_code == 403
    assert len(mistakes_in(caplog)) == 1
