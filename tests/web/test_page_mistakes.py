"""A page sends something else than its token: the log names the mistake."""

import pytest
from django.http import HttpResponse
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
    """Send a form or a header to a view that saves; return what was logged."""
    serve(requires_lock_on_object(Article, "key")(not_reached))
    client = editor_of(article)

    def sent(value, **options):
        caplog.clear()
        data = {} if options else {"lock_token": value}
        answer = client.post(url_of(article), data, **options)
        assert answer.status_code == 403
        return [
            record.getMessage() for record in caplog.records if record.levelno == 30
        ]

    return sent


def warnings_of(messages):
    return [message for message in messages if "something else than a token" in message]


def test_an_empty_field_is_logged_once_for_the_view(sent):
    (message,) = warnings_of(sent(""))
    assert "It is empty." in message
    assert warnings_of(sent("")) == []


def test_the_whole_dict_in_the_field_is_logged_without_its_token(sent, article):
    lock = LockToken.objects.get()
    (message,) = warnings_of(sent(str(lock.serialize())))
    assert "{{ request.lock_token.token }}" in message
    assert lock.token_str not in message
    assert warnings_of(sent(str(lock.serialize()))) == []


def test_a_field_of_the_project_s_own_of_that_name_is_logged(sent):
    (message,) = warnings_of(sent("A1234"))
    assert "give the form a prefix" in message


def test_a_header_that_a_script_has_got_wrong_is_logged(sent):
    (message,) = warnings_of(sent(None, headers={"Lock-Token": "undefined"}))
    assert "Lock-Token" in message


def test_the_tag_of_the_admin_s_parts_refuses_the_whole_dict(article):
    template = Template(
        "{% load lock_tokens_tags %}"
        "{% admin_lock_handler 'tests' 'article' article.pk lock_token %}"
    )
    context = Context({"article": article, "lock_token": article.lock()})
    with pytest.raises(TypeError, match=r'give its \["token"\]'):
        template.render(context)


def test_a_void_token_is_no_mistake_of_the_page(sent):
    assert warnings_of(sent("0" * 32)) == []


def test_a_view_that_is_called_without_an_url_is_logged_too(
    rf, session, article, caplog
):
    request = rf.post("/", {"lock_token": ""})
    request.session = session
    view = requires_lock_on_object(Article, "key")(lambda request, key: HttpResponse())
    assert view(request, key=article.pk).status_code == 403
    assert len(warnings_of(record.getMessage() for record in caplog.records)) == 1
