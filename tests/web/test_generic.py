"""``LockedUpdateView``: the edit page of an ordinary view."""

import pytest
from django import forms
from django.contrib.auth.mixins import PermissionRequiredMixin
from django.core.exceptions import ImproperlyConfigured
from django.http import Http404, HttpResponse
from django.template import Context, Template
from django.test import Client

from lock_tokens.decorators import edits_object
from lock_tokens.exceptions import AlreadyLockedError
from lock_tokens.generic import LockedUpdateView
from lock_tokens.managers import LockTokenManager
from lock_tokens.models import LockToken
from lock_tokens.testing import expire_lock, lock_as, post_form
from tests.models import Comment, Story
from tests.support.admin_site import (
    asked,
    buttons_of,
    form_of,
    holder_of,
    permit,
    person,
    saved,
    standing_token,
    state_of,
    take_and_leave,
    text_of,
    token_of,
)
from tests.support.helpers import race
from tests.support.replica import catch_up
from tests.support.views import token_in_session

pytestmark = pytest.mark.django_db

PAGE = (
    "{% load lock_tokens_tags %}<form method=post>{% csrf_token %}{% lock_form %}"
    "{{ form }}{{ rows }}"
    "<button name=_save{% if not lock_page.can_save %} disabled{% endif %}>Save</button>"
    "</form>"
)


class Update(LockedUpdateView):
    model = Story
    fields = ["headline", "body"]
    pk_url_kwarg = "key"
    template_name = "ours.html"
    success_url = "/done/"


@pytest.fixture
def page(serve, settings):
    """Serve a view, and its template."""

    loaders = [
        ("django.template.loaders.locmem.Loader", {"ours.html": PAGE}),
        "django.template.loaders.app_directories.Loader",
    ]
    (engine,) = settings.TEMPLATES
    options = {**engine["OPTIONS"], "loaders": loaders}
    settings.TEMPLATES = [{**engine, "APP_DIRS": False, "OPTIONS": options}]

    def page(view=Update):
        serve(view.as_view())

    page()
    return page


@pytest.fixture
def story():
    return Story.objects.create(headline="First", body="Text")


@pytest.fixture
def url(page, story):
    return f"/{story.pk}/"


@pytest.fixture
def alice():
    return person("alice")


@pytest.fixture
def bob():
    return person("bob")


def test_opening_locks_and_saving_releases(alice, story, url):
    page = alice.get(url)
    assert state_of(page) == "held"
    assert "<button name=_save>" in text_of(page)
    assert holder_of(story) == alice.user
    assert token_of(page) == standing_token(story)
    assert alice.send(page, headline="Second").url == "/done/"
    assert saved(story).headline == "Second"
    assert not LockToken.objects.is_locked(story)
    assert token_in_session(alice, story) is None


def test_a_form_with_errors_keeps_the_lock_and_the_text(alice, story, url):
    wrong = alice.send(alice.get(url), headline="", body="Mine")
    assert wrong.status_code == 200
    assert state_of(wrong) == "held"
    assert holder_of(story) == alice.user
    assert alice.send(wrong, headline="Second").status_code == 302
    assert (saved(story).headline, saved(story).body) == ("Second", "Mine")


def test_others_read_the_form_and_see_who_is_editing(alice, bob, story, url):
    alice.get(url)
    page = bob.get(url)
    assert page.status_code == 200
    assert state_of(page) == "locked"
    assert "Alice Writer" in text_of(page)
    assert all(field.disabled for field in page.context["form"].fields.values())
    # Without scripts, the button can be pressed. By now, the session may have a lock.
    LockToken.objects.remove(story)
    bob.get(url)
    assert bob.post(url, {**form_of(page), "body": ""}).url == url
    assert saved(story).body == "Text"
    LockToken.objects.take_over(story)
    forged = bob.post(url, {"headline": "Forged", "body": "Forged"})
    assert forged.status_code == 403
    assert saved(story).headline == "First"


def test_a_holder_whom_nobody_can_name(alice, story, url, monkeypatch):
    """The lock changes hands all the time, or another transaction keeps its row."""

    def acquire(*args, **kwargs):
        raise AlreadyLockedError("Somebody else has just locked it.", story)

    monkeypatch.setattr(LockTokenManager, "get_or_acquire", acquire)
    page = alice.get(url)
    assert (page.status_code, state_of(page)) == (200, "locked")
    assert ">Somebody else</span> is editing this." in text_of(page)
    assert "disabled>Save" in text_of(page)


def test_the_user_s_other_session_is_taken_over_by_a_button(alice, story, url):
    alice.get(url)
    other = alice.elsewhere()
    page = other.get(url)
    assert state_of(page) == "elsewhere"
    assert "_take_over" in buttons_of(page)
    assert other.post(url, {"_take_over": asked(page)}).url == url
    assert state_of(other.get(url)) == "held"


@pytest.mark.parametrize("is_locked", [False, True])
def test_a_save_without_the_lock_gives_the_text_back(alice, bob, story, url, is_locked):
    page = alice.get(url)
    take_and_leave(story)
    Story.objects.update(body="Theirs")
    if is_locked:
        lock_as(bob.user, story)
    refused = alice.send(page, headline="Mine")
    assert refused.status_code == 403
    assert state_of(refused) == "refused"
    assert form_of(refused)["headline"] == ["Mine"]
    assert [(each.label, each.current) for each in differences_of(refused)] == [
        ("Headline", "First"),
        ("Body", "Theirs"),
    ]
    assert ("Bob Writer" in text_of(refused)) is is_locked
    assert saved(story).headline == "First"
    if is_locked:
        again = alice.send(refused, "_lock_again")
        assert (again.status_code, state_of(again)) == (403, "refused")
        LockToken.objects.remove(story)
    again = alice.send(refused, "_lock_again")
    assert (again.status_code, state_of(again)) == (200, "again")
    assert saved(story).headline == "First"
    assert alice.send(again, body="Both").status_code == 302
    assert (saved(story).headline, saved(story).body) == ("Mine", "Both")


def differences_of(answer):
    return answer.context["lock_page"].differences


@pytest.mark.parametrize("data", [{"body": ""}, {"password": "new"}, {}])
def test_whatever_is_sent_without_the_lock_is_refused(alice, story, url, data):
    """A field was cleared; only a password was typed; a script sent no form."""
    alice.get(url)
    take_and_leave(story)
    headers = {"Lock-Token": "0" * 32}
    assert alice.post(url, data, headers=headers).status_code == 403
    assert alice.put(url, "{}", "application/json", headers=headers).status_code == 403
    assert saved(story).body == "Text"


def test_a_page_that_nobody_opened_is_refused_and_may_go_on(alice, story, url):
    refused = alice.post(url, {"headline": "Mine", "body": ""})
    assert (refused.status_code, state_of(refused)) == (403, "refused")
    again = alice.send(refused, "_lock_again")
    assert (state_of(again), form_of(again)["headline"]) == ("again", ["Mine"])
    assert alice.send(again).status_code == 302
    assert saved(story).headline == "Mine"


def test_what_the_form_does_not_know_is_given_back(page, alice, story, url):
    class Extra(Update):
        def form_valid(self, form):
            form.instance.body = self.request.POST["extra"]
            return super().form_valid(form)

    page(Extra)
    opened = alice.get(url)
    take_and_leave(story)
    refused = alice.send(opened, extra="Mine")
    assert refused.status_code == 403
    assert refused.context["lock_page"].others == [("extra", "Mine")]


def test_a_lock_that_expired_is_still_good_and_saves(alice, story, url):
    page = alice.get(url)
    expire_lock(story)
    assert alice.send(page, headline="Late").status_code == 302
    page = alice.get(url)
    expire_lock(story)
    again = alice.send(page, "_lock_again", headline="Later")
    assert token_of(again) == token_of(page)


def test_who_may_take_over_does_and_the_project_is_told(page, alice, bob, story, url):
    told = []

    class Noting(Update):
        def lock_taken_over(self, holder):
            told.append((holder.locked_by, self.locked_object))

    page(Noting)
    bob.get(url)
    carol = person("carol", "tests.change_story")
    assert "Take over" not in text_of(carol.get(url))
    refused = alice.post(url, {"headline": "Mine", "body": "", "lock_token": "0" * 32})
    permit(carol.user, "lock_tokens.take_over_locktoken")
    locked = carol.get(url)
    assert "Take over" in text_of(locked)
    assert carol.post(url, {"_take_over": asked(locked)}).url == url
    assert told == [(bob.user, story)]
    assert holder_of(story) == carol.user
    late = alice.send(refused, "_take_over", _take_over=asked(refused))
    assert late.status_code == 403  # it was about Bob
    assert holder_of(story) == carol.user
    # Her own other session is nobody's loss.
    assert carol.elsewhere().post(
        url, {"_take_over": asked(carol.elsewhere().get(url))}
    )
    assert len(told) == 1


def test_taking_over_may_be_switched_off(page, alice, bob, url):
    class Strict(Update):
        lock_take_over = False

    page(Strict)
    bob.get(url)
    locked = alice.get(url)
    assert "Take over" not in text_of(locked)
    assert alice.post(url, {"_take_over": asked(locked)}).url == url
    assert state_of(alice.get(url)) == "locked"


def test_a_page_that_another_user_opened_is_not_saved(alice, bob, story, url):
    page = alice.get(url)
    alice.force_login(bob.user)
    refused = alice.send(page, headline="Mine")
    assert refused.status_code == 403
    assert "You opened this page as <strong>Alice Writer</strong>" in text_of(refused)
    again = alice.send(refused, "_lock_again")
    assert again.status_code == 403
    assert "You opened this page as <strong>Alice Writer</strong>" in text_of(again)
    assert saved(story).headline == "First"


def test_what_is_gone_gives_the_text_back(alice, story, url):
    page = alice.get(url)
    Story.objects.all().delete()
    answer = alice.send(page, headline="Mine")
    assert answer.status_code == 404
    assert "Mine" in text_of(answer)
    assert alice.get(url).status_code == 404


@pytest.mark.parametrize("is_void", [False, True])
@pytest.mark.parametrize("method", ["get", "post"])
def test_what_goes_while_it_is_locked_is_a_404(
    page, alice, story, url, method, is_void
):
    opened = alice.get(url)
    if is_void:
        take_and_leave(story)

    class Late(Update):
        def get_object(self, queryset=None):
            found = super().get_object(queryset)
            Story.objects.all()._raw_delete("default")
            return found

    page(Late)
    data = {"headline": "Mine", "lock_token": token_of(opened)}
    answer = getattr(alice, method)(url, data)
    assert answer.status_code == 404
    assert ("Mine" in text_of(answer)) is (method == "post")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("method", ["get", "post"])
def test_the_form_has_what_was_saved_before_it_got_the_lock(
    page, alice, story, url, method
):
    opened = alice.get(url)
    seen = []

    class Late(Update):
        fields = ["headline"]

        def get_object(self, queryset=None):
            found = super().get_object(queryset)
            if not seen:
                seen.append(race(lambda: Story.objects.update(body="Theirs")))
            return found

        def form_valid(self, form):
            assert form.instance.body == "Theirs"
            return super().form_valid(form)

    page(Late)
    if method == "get":
        assert alice.get(url).context["object"].body == "Theirs"
    else:
        assert alice.send(opened, headline="Mine").status_code == 302
        assert (saved(story).headline, saved(story).body) == ("Mine", "Theirs")


def test_head_options_and_other_sites_lock_nothing(alice, bob, story, url):
    assert alice.head(url).status_code == 200
    assert alice.options(url).status_code == 200
    assert alice.get(url, headers={"Sec-Purpose": "prefetch"}).status_code == 503
    assert not LockToken.objects.is_locked(story)
    bob.get(url)
    assert alice.head(url).status_code == 200
    assert alice.get(url, headers={"Sec-Purpose": "prefetch"}).status_code == 503


def test_permissions_come_first(page, story, url):
    class Guarded(PermissionRequiredMixin, Update):
        permission_required = "tests.change_story"
        raise_exception = True

    page(Guarded)
    assert person("dora", "tests.view_story").get(url).status_code == 403
    assert not LockToken.objects.is_locked(story)
    assert person("emil", "tests.change_story").get(url).status_code == 200


def test_somebody_without_an_account_has_the_lock_by_the_session(story, url):
    somebody = Client()
    assert post_form(somebody, url, {"headline": "Mine"}).status_code == 302
    assert saved(story).headline == "Mine"


def test_the_rows_of_a_formset_are_told(page, alice, story, url):
    Rows = forms.inlineformset_factory(Story, Comment, fields=["text"], extra=1)

    class WithRows(Update):
        def get_context_data(self, **kwargs):
            rows = Rows(self.request.POST or None, instance=self.object)
            return super().get_context_data(rows=rows, all_rows=[rows], **kwargs)

    page(WithRows)
    opened = alice.get(url)
    take_and_leave(story)
    refused = alice.send(opened, comment_set__0__text="Mine")
    assert ("comments", True) in [
        (each.label, each.is_rows) for each in differences_of(refused)
    ]
    assert form_of(refused)["comment_set-0-text"] == ["Mine"]
    assert refused.context["lock_page"].others == []
    lock_as(person("carol").user, story)
    rows = alice.get(url).context["rows"]
    assert all(field.disabled for field in rows.forms[0].fields.values())


def test_a_page_that_only_the_view_s_post_can_make(page, alice, story, url):
    """The text comes back on the page of the decorators."""

    class Own(Update):
        def post(self, request, *args, **kwargs):
            self.rows = "prepared"
            return super().post(request, *args, **kwargs)

        def get_context_data(self, **kwargs):
            if self.request.method == "POST":
                kwargs["rows"] = self.rows
            return super().get_context_data(**kwargs)

    page(Own)
    opened = alice.get(url)
    wrong = alice.send(opened, headline="")
    assert (wrong.status_code, wrong.context["rows"]) == (200, "prepared")
    take_and_leave(story)
    refused = alice.send(opened, headline="Mine")
    assert refused.status_code == 403
    assert "Mine" in text_of(refused)
    assert "were not saved" in text_of(refused)


def test_an_answer_of_the_project_s_own(page, alice, story, url):
    class Own(Update):
        def render_to_response(self, context, **kwargs):
            return HttpResponse(self.lock_page.state, status=422)

    page(Own)
    opened = alice.get(url)
    assert (opened.status_code, opened.content) == (422, b"held")
    data = {"headline": "Mine", "lock_token": "0" * 32}
    refused = alice.post(url, data)
    assert (refused.status_code, refused.content) == (422, b"refused")


def test_a_404_of_the_project_s_own_is_not_said_to_be_a_deletion(
    page, alice, story, url
):
    class Own(Update):
        def form_valid(self, form):
            raise Http404("There is no such section.")

    page(Own)
    answer = alice.send(alice.get(url), headline="Mine")
    assert answer.status_code == 404
    assert "no longer available" not in text_of(answer)


def test_a_view_that_finds_the_object_by_itself_gets_the_locked_one(
    page, alice, story, url
):
    reads = []

    class Own(Update):
        def get_object(self, queryset=None):
            reads.append(1)
            return Story.objects.get(pk=self.kwargs["key"])

    page(Own)
    assert alice.send(alice.get(url), headline="Second").status_code == 302
    assert len(reads) == 2  # once a request


def test_a_page_of_one_s_own_account(serve, page, alice):
    class Profile(LockedUpdateView):
        fields = ["first_name"]
        template_name = "ours.html"
        success_url = "/done/"

        def get_object(self, queryset=None):
            return self.request.user

    page(Profile)
    assert alice.send(alice.get("/me/"), first_name="Alicia").status_code == 302
    alice.user.refresh_from_db()
    assert alice.user.first_name == "Alicia"


def test_a_save_that_deletes_and_shows_a_page(page, alice, story, url):
    class Delete(Update):
        def form_valid(self, form):
            self.object.delete()
            return HttpResponse("gone")

    page(Delete)
    assert alice.send(alice.get(url)).content == b"gone"
    assert not Story.objects.exists()


def test_without_middleware(page, settings, url):
    settings.MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware"]
    assert post_form(Client(), url, {"headline": "Mine"}).status_code == 302
    settings.MIDDLEWARE = []
    with pytest.raises(ImproperlyConfigured, match=r"request\.session"):
        Client().get(url)


@pytest.mark.django_db(databases=["default", "other"])
def test_rows_that_are_rendered_later_are_read_from_the_primary(
    page, alice, story, url, replica
):
    class WithRows(Update):
        def get_context_data(self, **kwargs):
            rows = Comment.objects.filter(story=self.object)
            return super().get_context_data(rows=rows, **kwargs)

    page(WithRows)
    catch_up(Story, Comment)
    Comment.objects.create(story=story, text="new")
    assert "new" in text_of(alice.get(url))


def test_what_the_page_tells_its_script(page, alice, settings, url):
    class Short(Update):
        lock_timeout = 60
        lock_renew = False
        lock_release_on_leave = False

    page(Short)
    settings.LOGIN_URL = "/sign-in/"
    shown = alice.get(f"{url}?tab=2").context["lock_page"]
    assert (shown.timeout, shown.renew, shown.release_on_leave) == (60, False, False)
    assert shown.url == f"{url}?tab=2"
    assert shown.login_url == f"/sign-in/?next=%2F{url.strip('/')}%2F%3Ftab%3D2"
    Short.login_url = "/members/"
    assert alice.get(url).context["lock_page"].login_url.startswith("/members/?next=")
    Short.login_url = None
    settings.LOGIN_URL = "no-such-name"
    assert alice.get(url).context["lock_page"].login_url == ""


def test_the_tag_on_a_page_of_edits_object(serve, alice, story):
    @edits_object(Story, "key")
    def view(request, key):
        source = Template(PAGE)
        return HttpResponse(source.render(Context({"request": request})))

    serve(view)
    page = alice.get(f"/{story.pk}/")
    assert (state_of(page), token_of(page)) == ("held", standing_token(story))


def test_the_tag_on_another_page_says_what_it_needs(rf):
    for context in ({}, {"request": rf.get("/")}):
        with pytest.raises(
            ImproperlyConfigured, match="needs lock_page in the context"
        ):
            Template(PAGE).render(Context(context))
