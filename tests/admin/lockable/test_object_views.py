"""Views of an object that a class adds in ``get_urls()``, such as a button."""

import pytest
from django.http import HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, re_path
from django.views.decorators.csrf import csrf_exempt

from lock_tokens.exceptions import AlreadyLockedError
from lock_tokens.models import LockToken
from lock_tokens.sessions import forget
from tests.models import Story
from tests.support.admin_site import (
    StoryAdmin,
    assert_refused,
    form_of,
    holder_of,
    messages_of,
    person,
    saved,
    standing_token,
    state_of,
    token_of,
    url_of,
)


class WithViews(StoryAdmin):
    lock_exempt_views = ["preview"]

    def get_urls(self):
        view = self.admin_site.admin_view
        return [
            path("<path:object_id>/publish/", view(self.publish)),
            path("<path:object_id>/preview/", view(self.preview), name="preview"),
            path("<path:object_id>/report/", view(self.preview)),
            path("<path:object_id>/old/", view(self.old)),
            path("<int:number>/older/", view(self.older)),
            re_path(r"^(\d+)/oldest/$", view(self.older)),
            path("<int:object_id>/hook/", csrf_exempt(self.publish)),
            path("<int:object_id>/bare/", self.publish),
            re_path(r"^(?:import|upload)/$", view(self.preview)),
            re_path(r"^(?:import|upload)/(\d+)/$", view(self.preview)),
            re_path(r"^(?P<object_id>\d+)?/?all/$", view(self.preview)),
            re_path(r"^(\d+)/versions/(?P<number>\d+)/named/$", view(self.preview)),
            re_path(r"^(?:(?P<object_id>\d+))/inner/$", view(self.preview)),
            path("<int:object_id>/locks/", view(self.locks)),
            path("<int:object_id>/other/", view(self.other)),
            path("stories/<int:number>/", view(self.preview)),
            re_path(r"^(\d+)/versions/(\d+)/$", view(self.preview)),
            *super().get_urls(),
        ]

    def publish(self, request, object_id):
        Story.objects.filter(pk=object_id).update(body="Published")
        return HttpResponseRedirect("../change/")

    def preview(self, request, *args, **kwargs):
        return HttpResponse("Shown")

    def locks(self, request, object_id):
        return HttpResponse(headers={"Locks": LockToken.objects.count()})

    def other(self, request, object_id):
        LockToken.objects.acquire(Story.objects.exclude(pk=object_id).get())

    def old(self, request, object_id):
        """Show an old version in a page of its own, as packages do that revert."""
        response = self.changeform_view(request, object_id, request.path)
        if isinstance(response, TemplateResponse):
            response.template_name = "admin/change_form.html"
            response.render()
        return response

    def older(self, request, number):
        return self.old(request, str(number))


@pytest.fixture(autouse=True)
def with_views(serve):
    serve(WithViews)


def at(story, view):
    return f"/admin/tests/story/{story.pk}/{view}/"


@pytest.mark.parametrize("method", ["get", "post", "head"])
def test_a_view_that_writes_is_refused_while_another_edits(alice, bob, story, method):
    alice.open(story)
    answer = getattr(bob, method)(at(story, "publish"))
    assert answer.status_code == 302
    assert answer.url == url_of(story)
    assert saved(story).body == "Once"
    page = bob.get(url_of(story))
    (message,) = messages_of(page)
    assert message.startswith("This was not done: “As it was” (Alice Writer has been")


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_view_runs_on_what_is_free_and_leaves_no_lock(alice, story, method):
    assert getattr(alice, method)(at(story, "publish")).url == "../change/"
    assert saved(story).body == "Published"
    assert standing_token(story) is None


@pytest.mark.parametrize("method", ["get", "post"])
def test_after_a_view_that_wrote_the_users_own_page_is_outdated(alice, story, method):
    page = alice.open(story)
    getattr(alice, method)(at(story, "publish"))
    assert_refused(alice.send(page, body="Mine"), body="Mine")


def test_a_view_that_only_shows_leaves_the_users_own_page_its_lock(alice, story, page):
    assert alice.get(at(story, "report")).text == "Shown"
    assert standing_token(story) == token_of(page)
    # Two requests that save one session at the same time lose a token.
    session = alice.session
    forget(story, session)
    session.save()
    assert alice.get(at(story, "report")).text == "Shown"
    assert standing_token(story) == token_of(page)
    assert alice.send(page, body="Mine").status_code == 302
    assert saved(story).body == "Mine"


def test_a_view_that_raises_leaves_no_lock(alice, story, monkeypatch):
    monkeypatch.setattr(Story, "objects", None)
    with pytest.raises(AttributeError):
        alice.get(at(story, "publish"))
    assert not LockToken.objects.exists()


def test_what_was_typed_for_a_view_is_kept_while_another_edits(alice, bob, story):
    alice.open(story)
    answer = bob.post(at(story, "publish"), {"why": "It is ready."})
    assert answer.status_code == 403
    assert "Somebody else is editing this" in answer.text
    assert "It is ready." in answer.text


@pytest.mark.parametrize("view", ["report", "versions/3", "all", "inner"])
def test_the_key_may_be_positional_or_in_a_group_of_any_kind(alice, bob, story, view):
    alice.open(story)
    assert bob.get(at(story, view)).url == url_of(story)
    # A view can be exempt by the name of its URL.
    assert bob.get(at(story, "preview")).text == "Shown"


@pytest.mark.parametrize(
    "url",
    [
        "import/",
        "upload/{}/",
        "all/",
        "777/versions/{}/named/",
        "stories/{}/",
        "777/report/",
    ],
)
def test_a_view_whose_url_does_not_give_the_key_is_no_page_of_the_lock(
    alice, bob, story, url
):
    alice.open(story)
    url = f"/admin/tests/story/{url.format(story.pk)}"
    assert bob.get(url).text == "Shown"
    assert bob.post(url, {"why": "Ready"}).text == "Shown"


def test_asking_what_a_view_can_do_locks_nothing(alice, bob, story):
    assert alice.options(at(story, "locks"))["Locks"] == "0"
    alice.open(story)
    assert bob.options(at(story, "locks")).status_code == 200


@pytest.mark.parametrize("view", ["locks", "old"])
def test_head_keeps_no_lock_and_ends_none(alice, story, view):
    assert alice.head(at(story, view)).status_code == 200
    assert standing_token(story) is None
    page = alice.open(story)
    assert alice.head(at(story, view)).status_code == 200
    assert standing_token(story) == token_of(page)


def test_a_view_is_not_run_ahead_of_time(alice, story):
    answer = alice.get(at(story, "publish"), headers={"Sec-Purpose": "prefetch"})
    assert answer.status_code == 503
    assert saved(story).body == "Once"


def test_who_is_signed_out_is_sent_to_the_sign_in_page(client, story):
    assert "/login/" in client.get(at(story, "publish")).url
    assert standing_token(story) is None


def test_who_may_only_view_the_object_takes_no_lock(alice, story):
    viewer = person("vera", "tests.view_story")
    assert viewer.get(at(story, "old")).status_code == 200
    assert standing_token(story) is None
    assert state_of(alice.open(story)) == "held"


@pytest.mark.parametrize("method", ["get", "post"])
def test_who_has_no_permission_is_not_told_who_edits_what(alice, story, method):
    alice.open(story)
    outsider = person("otto", "tests.view_keyword")
    answer = getattr(outsider, method)(at(story, "old"), {"why": "Curious"})
    assert answer.status_code == 403
    index = outsider.get("/admin/").text
    assert "As it was" not in index
    assert "Alice" not in answer.text + index
    assert "else is editing" not in answer.text + index


def test_a_page_that_shows_the_form_is_a_page_of_the_lock(alice, bob, story):
    page = alice.get(at(story, "old"))
    assert state_of(page) == "held"
    assert holder_of(story) == alice.user
    assert bob.get(at(story, "old")).url == url_of(story)
    # It keeps the lock with errors.
    page = alice.send(page, headline="")
    assert state_of(page) == "held"
    assert standing_token(story) == token_of(page)
    assert alice.send(page, headline="New", body="Mine").status_code == 302
    assert saved(story).body == "Mine"
    assert standing_token(story) is None


@pytest.mark.parametrize("view", ["old", "older", "oldest"])
def test_a_form_of_who_is_signed_out_is_given_back_and_keeps_its_lock(
    alice, story, view
):
    page = alice.get(at(story, view))
    del alice.cookies["sessionid"]
    answer = alice.send(page, body="Precious")
    assert answer.status_code == 403
    assert "You are signed out" in answer.text
    assert form_of(answer)["body"] == ["Precious"]
    alice.force_login(alice.user)
    assert alice.send(answer).status_code == 302
    assert saved(story).body == "Precious"


def test_a_form_with_an_old_csrf_token_is_given_back(alice, story):
    page = alice.get(at(story, "old"))
    alice.handler.enforce_csrf_checks = True
    del alice.cookies["csrftoken"]
    data = form_of(page, body="Precious")
    answer = alice.post(
        at(story, "old"), data, headers={"Sec-Fetch-Site": "same-origin"}
    )
    assert answer.status_code == 403
    assert "This is not saved yet" in answer.text
    assert form_of(answer)["body"] == ["Precious"]
    assert saved(story).body == "Once"


def test_a_view_without_csrf_protection_stays_so(alice, story):
    alice.handler.enforce_csrf_checks = True
    assert alice.post(at(story, "bare"), {"why": "Ready"}).status_code == 403
    assert alice.post(at(story, "hook"), {"why": "Ready"}).status_code == 302
    assert saved(story).body == "Published"


def test_a_view_that_trusts_the_middleware_needs_a_login(client, settings, story):
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE,
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ]
    assert "login" in client.get(at(story, "bare")).url
    assert saved(story).body == "Once"


def test_a_form_that_comes_too_late_goes_on_in_the_change_page(alice, story):
    answer = alice.send_late(alice.get(at(story, "old")), body="Mine")
    assert f'action="{url_of(story)}"' in answer.text
    again = alice.post(url_of(story), form_of(answer, "_lock_again"))
    assert alice.post(url_of(story), form_of(again)).status_code == 302
    assert saved(story).body == "Mine"


def test_a_lock_that_the_view_itself_does_not_get_is_its_own_affair(alice, bob, story):
    other = Story.objects.create(headline="Other")
    bob.open(other)
    with pytest.raises(AlreadyLockedError):
        alice.get(at(story, "other"))
    assert standing_token(story) is None
