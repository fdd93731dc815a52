"""LockableModelAdmin mixed with other classes, templates and sites."""

import pytest
from django import forms
from django.contrib import admin
from django.db.models import Count
from django.http import HttpResponse
from django.urls import path

from lock_tokens.admin import LockableModelAdmin, LockTokenAdmin
from lock_tokens.models import LockToken
from tests.models import Draft, Keyword, Story
from tests.support.admin_site import (
    CommentInline,
    StoryAdmin,
    assert_refused,
    buttons_of,
    form_of,
    holder_of,
    list_of,
    messages_of,
    new_site,
    saved,
    standing_token,
    state_of,
    take_and_leave,
    token_of,
    url_of,
    urls_of_site,
)
from tests.support.helpers import expire

pytestmark = pytest.mark.any_database


def goes_its_way(alice, bob, story, marks=()):
    """Go through all states of a page; return the page of each."""
    pages = {}
    page = pages["held"] = alice.open(story)
    assert state_of(page) == "held"
    locked = pages["locked"] = bob.open(story)
    assert state_of(locked) == "locked"
    assert not buttons_of(locked) & {"_save", "_continue", "_addanother", "_saveasnew"}
    assert holder_of(story) == alice.user
    wrong = pages["wrong"] = alice.send(page, body="x" * 51)
    assert state_of(wrong) == "held"
    assert saved(story).body == "Once"
    take_and_leave(story)
    refused = pages["refused"] = alice.send(page, body="Mine")
    assert_refused(refused)
    assert not buttons_of(refused) & {"_save", "_continue", "_addanother"}
    assert form_of(refused)["body"] == ["Mine"]
    assert saved(story).body == "Once"
    again = pages["again"] = alice.send(refused, "_lock_again")
    assert state_of(again) == "again"
    assert form_of(again)["body"] == ["Mine"]
    assert alice.send(again).status_code == 302
    assert saved(story).body == "Mine"
    assert not LockToken.objects.exists()
    for name, shown in pages.items():
        for mark in marks:
            assert mark in shown.text, name
    return pages


def mixed(*bases, **attributes):
    return type("Admin", bases, attributes)


class ShortForm(forms.ModelForm):
    body = forms.CharField(max_length=50, required=False)


class ShortAdmin(admin.ModelAdmin):
    """Of somebody who knows nothing of locks; too long a body is an error."""

    form = ShortForm


def test_beside_a_class_that_takes_fields_out_of_the_form(alice, bob, story, serve):
    class WithoutUrgency(ShortAdmin):
        def get_form(self, request, obj=None, change=False, **kwargs):
            form = super().get_form(request, obj, change=change, **kwargs)
            form.base_fields.pop("is_urgent", None)
            form.base_fields["body"].help_text = "Keep it short"
            return form

        fields = ["headline", "body"]

    serve(mixed(WithoutUrgency, LockableModelAdmin))
    pages = goes_its_way(alice, bob, story)
    for name in ("held", "wrong", "refused", "again"):
        assert "Keep it short" in pages[name].text
        assert "is_urgent" not in form_of(pages[name])


def test_beside_a_class_that_takes_a_field_out_of_all_fields(alice, story, serve):
    class WithoutHeadline(admin.ModelAdmin):
        def get_form(self, request, obj=None, change=False, **kwargs):
            form = super().get_form(request, obj, change=change, **kwargs)
            del form.base_fields["headline"]
            return form

        def get_fields(self, request, obj=None):
            return ["body"] if obj else ["headline", "body"]

        def get_fieldsets(self, request, obj=None):
            return [(None, {"fields": ["body"]})]

    class Fields(WithoutHeadline):
        def get_form(self, request, obj=None, change=False, **kwargs):
            kwargs["fields"] = ["headline", "body"]
            return super().get_form(request, obj, change=change, **kwargs)

    serve(mixed(Fields, LockableModelAdmin))
    refused = alice.send_late(alice.open(story), body="Mine")
    assert [each.label for each in refused.context["lock_page"].differences] == ["Body"]
    assert alice.send(alice.send(refused, "_lock_again")).status_code == 302
    assert (saved(story).headline, saved(story).body) == ("As it was", "Mine")


GREETING = {"title": "Good morning"}
BUTTONS = {"show_save_and_continue": True, "show_save_and_add_another": True}


class GreetingInChangeView(ShortAdmin):
    """Shows buttons too, which a locked page shall not have."""

    def change_view(self, request, object_id, form_url="", extra_context=None):
        extra_context = {**(extra_context or {}), **GREETING, **BUTTONS}
        return super().change_view(request, object_id, form_url, extra_context)


class GreetingInChangeformView(ShortAdmin):
    def changeform_view(self, request, object_id=None, form_url="", extra_context=None):
        extra_context = {**(extra_context or {}), **GREETING}
        return super().changeform_view(request, object_id, form_url, extra_context)


class GreetingInChangeForm(ShortAdmin):
    def render_change_form(self, request, context, *args, **kwargs):
        context["title"] = "Good morning"
        return super().render_change_form(request, context, *args, **kwargs)


@pytest.mark.parametrize(
    "bases",
    [
        (LockableModelAdmin, GreetingInChangeView),
        (GreetingInChangeView, LockableModelAdmin),
        (LockableModelAdmin, GreetingInChangeformView),
        (GreetingInChangeformView, LockableModelAdmin),
        (GreetingInChangeForm, LockableModelAdmin),
    ],
)
def test_beside_a_class_with_views_of_its_own(alice, bob, story, serve, bases):
    serve(mixed(*bases))
    goes_its_way(alice, bob, story, marks=["Good morning"])


def test_beside_a_class_with_its_own_queryset(alice, bob, story, serve):
    class Calm(ShortAdmin):
        def get_queryset(self, request):
            return super().get_queryset(request).filter(is_urgent=False)

    serve(mixed(Calm, LockableModelAdmin))
    goes_its_way(alice, bob, story)
    urgent = Story.objects.create(headline="Urgent", is_urgent=True)
    assert alice.open(urgent).status_code == 302
    assert not LockToken.objects.exists()


def test_a_queryset_that_joins_and_counts(alice, bob, story, serve):
    class Counting(ShortAdmin):
        inlines = [CommentInline]

        def get_queryset(self, request):
            return (
                super()
                .get_queryset(request)
                .annotate(number=Count("keywords", distinct=True))
                .distinct()
            )

    @serve
    class Admin(Counting, LockableModelAdmin):
        readonly_fields = ["number"]

        def number(self, obj):
            return f"{obj.number} keywords"

    story.keywords.add(Keyword.objects.create(name="news"))
    goes_its_way(alice, bob, story, marks=["1 keywords"])


def test_beside_a_class_that_saves_its_own_way(alice, bob, story, serve):
    class Signing(ShortAdmin):
        def save_model(self, request, obj, form, change):
            obj.headline = f"{obj.headline} ({request.user})"
            super().save_model(request, obj, form, change)

        def response_change(self, request, obj):
            self.message_user(request, "Well done")
            return super().response_change(request, obj)

    serve(mixed(Signing, LockableModelAdmin))
    goes_its_way(alice, bob, story)
    assert saved(story).headline == "As it was (alice)"
    assert messages_of(alice.get("/admin/tests/story/"))[0] == "Well done"


def test_permissions_that_ask_no_super(alice, bob, story, serve):
    class Generous(ShortAdmin):
        inlines = [CommentInline]

        def has_change_permission(self, request, obj=None):
            return True

        def has_view_permission(self, request, obj=None):
            return False

        def has_delete_permission(self, request, obj=None):
            return True

    serve(mixed(Generous, LockableModelAdmin))
    pages = goes_its_way(alice, bob, story)
    text = pages["locked"].text
    assert 'name="headline"' not in text
    assert 'name="comment_set-0-text"' not in text
    assert "deletelink" not in text


@pytest.mark.parametrize(
    ("name", "block", "attributes"),
    [
        ("own.html", "form_top", {"change_form_template": "own.html"}),
        ("admin/tests/story/change_form.html", "after_field_sets", {}),
    ],
)
def test_a_template_of_the_project_s_own(
    alice, bob, story, serve, templates, name, block, attributes
):
    text = f"{{% block {block} %}}<p>Good morning</p>{{% endblock %}}"
    templates(**{name: "{% extends 'admin/change_form.html' %}" + text})
    serve(mixed(ShortAdmin, LockableModelAdmin, **attributes))
    goes_its_way(alice, bob, story, marks=["<p>Good morning</p>"])


BARE = (
    "<form method=post>{% csrf_token %}{{ adminform.form.as_p }}"
    "{% for each in inline_admin_formsets %}{{ each.formset }}{% endfor %}"
    "<button name=_save>Save</button></form>"
)


def test_a_bare_template_saves_with_the_session_s_token(
    alice, bob, story, serve, templates
):
    templates(**{"bare.html": BARE})
    serve(mixed(ShortAdmin, LockableModelAdmin, change_form_template="bare.html"))
    page = alice.open(story)
    assert holder_of(story) == alice.user
    assert "lock_token" not in form_of(page)
    # Another's form is refused, whatever the template shows.
    theirs = bob.send(page, headline="Theirs")
    assert theirs.status_code == 403
    assert form_of(theirs)["headline"] == ["Theirs"]
    assert saved(story).headline == "As it was"
    assert alice.send(page, headline="New").status_code == 302
    assert saved(story).headline == "New"
    assert not LockToken.objects.exists()
    # So is one's own when the lock was lost.
    page = alice.open(story)
    take_and_leave(story)
    refused = alice.send(page, headline="Mine")
    assert refused.status_code == 403
    assert form_of(refused)["headline"] == ["Mine"]
    assert saved(story).headline == "New"


TAG = (
    "{% load lock_tokens_tags %}"
    "{% admin_lock_handler 'tests' 'story' original.pk 'of the template' %}"
)
HANDLED = BARE.replace("{% csrf_token %}", "{% csrf_token %}" + TAG)


def test_a_bare_template_with_the_tag_has_the_page_s_own_state(
    alice, bob, story, serve, templates
):
    """Whatever token the template gives to the tag."""
    templates(**{"bare.html": HANDLED})
    serve(mixed(ShortAdmin, LockableModelAdmin, change_form_template="bare.html"))
    page = alice.open(story)
    assert state_of(page) == "held"
    assert token_of(page) == standing_token(story)
    locked = bob.open(story)
    assert state_of(locked) == "locked"
    assert "lock_token" not in form_of(locked)
    assert "Alice Writer" in locked.text
    refused = alice.send_late(page, body="Mine")
    again = alice.send(refused, "_lock_again")
    assert state_of(again) == "again"
    for shown in (page, locked, refused, again):
        assert shown.text.count("lock_tokens/page.js") == 1
    assert alice.send(again).status_code == 302
    assert saved(story).body == "Mine"


@pytest.mark.parametrize("block", ["form_top", "after_field_sets", "extrahead"])
def test_beside_django_s_blocks_the_tag_shows_nothing_twice(
    alice, bob, story, serve, templates, block
):
    """The tag stands before, behind or far from the blocks that ours fill."""
    text = f"{{% block {block} %}}{{{{ block.super }}}}{TAG}{{% endblock %}}"
    templates(**{"own.html": "{% extends 'admin/change_form.html' %}" + text})
    serve(mixed(ShortAdmin, LockableModelAdmin, change_form_template="own.html"))
    if block != "extrahead":
        pages = goes_its_way(alice, bob, story)
    else:
        pages = {"held": alice.open(story)}
    parts = ["lock_tokens/page.js", "lock_tokens/page.css"]
    parts += ['id="lock-tokens"', 'id="lock-tokens-bar"']
    for page in pages.values():
        assert [page.text.count(part) for part in parts] == [1] * 4


def test_a_template_of_the_project_s_own_for_the_question(
    alice, story, serve, templates
):
    text = (
        "{% block delete_confirm %}<p>Good morning</p>{{ block.super }}{% endblock %}"
    )
    templates(**{"own.html": "{% extends 'admin/delete_confirmation.html' %}" + text})
    serve(StoryAdmin, delete_confirmation_template="own.html")
    page = alice.open(story, "delete")
    assert "<p>Good morning</p>" in page.text
    assert state_of(page) == "held"
    alice.post(url_of(story, "delete"), {"post": "yes"})
    assert not Story.objects.exists()
    assert not LockToken.objects.exists()


def test_an_answer_of_the_project_s_own_that_is_rendered_already(
    alice, bob, story, serve
):
    @serve
    class Admin(StoryAdmin):
        def render_change_form(self, request, context, *args, **kwargs):
            response = super().render_change_form(request, context, *args, **kwargs)
            return HttpResponse(response.rendered_content)

        def render_delete_form(self, request, context):
            return HttpResponse("Are you sure?")

    page = alice.open(story)
    assert state_of(page) == "held"
    assert state_of(bob.open(story)) == "locked"
    assert alice.open(story, "delete").text == "Are you sure?"
    assert alice.send(page, body="New").status_code == 302
    assert saved(story).body == "New"
    take_and_leave(story)
    assert_refused(alice.send(page, body="Mine"), body="Mine")
    assert saved(story).body == "New"


def test_a_change_form_that_is_rendered_below_is_left_alone(alice, story, serve):
    class Early(admin.ModelAdmin):
        def render_change_form(self, request, context, *args, **kwargs):
            response = super().render_change_form(request, context, *args, **kwargs)
            return response.render()

        def render_delete_form(self, request, context):
            return super().render_delete_form(request, context).render()

    serve(mixed(LockableModelAdmin, Early))
    page = alice.open(story)
    assert page.status_code == 200
    assert holder_of(story) == alice.user
    assert alice.open(story, "delete").status_code == 200
    assert alice.send(page, body="New").status_code == 302
    assert saved(story).body == "New"


def test_a_site_of_another_name(alice, bob, settings, story):
    site, other = new_site("newsroom"), new_site("admin")
    for each in (site, other):
        each.register(Story, StoryAdmin)
    settings.ROOT_URLCONF = (path("newsroom/", site.urls), *urls_of_site(other))
    url = url_of(story, site="newsroom")
    assert url == f"/newsroom/tests/story/{story.pk}/change/"
    page = alice.get(url)
    assert state_of(page) == "held"
    assert page.context["lock_page"].url == url
    assert page.context["lock_page"].login_url.startswith("/newsroom/login/")
    locked = bob.get(url)
    assert locked.context["lock_page"].list_url == list_of(Story, site="newsroom")
    assert state_of(bob.open(story)) == "locked"  # on the other site too
    deletion = bob.post(url_of(story, "delete", site="newsroom"), {"post": "yes"})
    assert deletion.url == url
    answer = alice.send(page, headline="New")
    assert answer.url == "/newsroom/tests/story/"
    assert saved(story).headline == "New"
    page = alice.get(url)
    alice.logout()
    late = alice.send(page, headline="Late")
    assert late.status_code == 403
    assert "/newsroom/login/?next=" in late.text
    assert "Late" in late.text


def test_a_site_that_lets_others_in_decides_who_is_signed_out(
    alice, bob, settings, story
):
    class OpenSite(admin.AdminSite):
        def has_permission(self, request):
            return request.user.username == "bob"

    site = OpenSite("admin")
    admin.sites.all_sites.discard(site)
    site.register(Story, StoryAdmin)
    settings.ROOT_URLCONF = urls_of_site(site)
    page = bob.open(story)
    assert state_of(page) == "held"
    late = alice.send(page, headline="Precious")
    assert late.status_code == 403
    assert "Precious" in late.text
    assert saved(story).headline == "As it was"


class ImportMixin(admin.ModelAdmin):
    """As django-import-export's: a template around the project's, and addresses."""

    change_list_template = "import_change_list.html"

    def get_urls(self):
        return [
            path(
                "import/",
                self.admin_site.admin_view(self.import_view),
                name="tests_story_import",
            ),
            *super().get_urls(),
        ]

    def import_view(self, request):
        Story.objects.create(headline="Imported")
        return HttpResponse("Imported")

    def changelist_view(self, request, extra_context=None):
        extra_context = {**(extra_context or {}), "has_import_permission": True}
        return super().changelist_view(request, extra_context)


@pytest.mark.parametrize("first", ["locks", "other"])
def test_beside_a_mixin_that_imports(alice, bob, story, serve, templates, first):
    text = (
        "{% extends 'admin/change_list.html' %}{% block object-tools-items %}"
        "{% if has_import_permission %}<li>Import</li>{% endif %}"
        "{{ block.super }}{% endblock %}"
    )
    templates(**{"import_change_list.html": text})
    bases = (LockableModelAdmin, ImportMixin)
    attributes = {"list_display": ["headline", "lock_state"], "form": ShortForm}
    serve(mixed(*bases[:: 1 if first == "locks" else -1], **attributes))
    alice.open(story)
    page = bob.get(list_of(Story)).text
    assert "<li>Import</li>" in page
    assert "Alice Writer, since" in page
    assert bob.get("/admin/tests/story/import/").text == "Imported"
    assert Story.objects.count() == 2
    LockToken.objects.all().delete()
    goes_its_way(alice, bob, story)


class RevertMixin(admin.ModelAdmin):
    """As of a package that knows nothing of locks: a page of its own, which saves."""

    def get_urls(self):
        view = self.admin_site.admin_view(self.revert_view)
        return [path("<path:object_id>/revert/", view), *super().get_urls()]

    def revert_view(self, request, object_id):
        story = self.get_object(request, object_id)
        story.headline = "Reverted"
        self.save_model(request, story, None, change=True)
        return HttpResponse("Reverted")

    def save_model(self, request, obj, form, change):
        self.holders.append(obj.pk and holder_of(obj))
        super().save_model(request, obj, form, change)


def revert(somebody, story):
    return somebody.post(f"/admin/tests/story/{story.pk}/revert/")


@pytest.fixture
def holders(serve):
    """Serve an admin with such a page; return who held the lock whenever it saved."""

    return serve(mixed(LockableModelAdmin, RevertMixin, holders=[])).holders


def test_a_page_of_another_package_writes_nothing_that_another_edits(
    alice, bob, story, page, holders
):
    for somebody in (bob, alice.elsewhere()):
        assert revert(somebody, story).url == url_of(story)
    assert saved(story).headline == "As it was"
    assert holders == []
    assert standing_token(story) == token_of(page)
    assert alice.send(page, body="Mine").status_code == 302
    assert saved(story).body == "Mine"


def test_a_page_of_another_package_saves_under_a_lock_of_its_own(
    alice, bob, story, holders
):
    bob.open(story)
    expire(story)
    assert revert(alice, story).text == "Reverted"
    assert saved(story).headline == "Reverted"
    assert holders == [alice.user]
    assert not LockToken.objects.exists()


def test_one_s_own_open_page_is_void_after_a_page_of_another_package_saved(
    alice, story, page, holders
):
    assert revert(alice, story).text == "Reverted"
    assert holders == [alice.user]
    stale = alice.send(page, body="Mine")
    assert_refused(stale, body="Mine")
    assert (saved(story).headline, saved(story).body) == ("Reverted", "Once")


def test_an_error_in_a_page_of_another_package_gives_its_lock_up(alice, story, serve):
    serve(mixed(LockableModelAdmin, RevertMixin, holders=property(lambda self: 1 / 0)))
    with pytest.raises(ZeroDivisionError):
        revert(alice, story)
    assert not LockToken.objects.exists()
    assert saved(story).headline == "As it was"


def test_the_pages_with_locks_save_under_the_one_that_they_have(alice, page, holders):
    alice.send(page, body="New")
    add = alice.get("/admin/tests/story/add/")
    alice.post("/admin/tests/story/add/", form_of(add, headline="Another"))
    assert holders == [alice.user, None]
    assert Story.objects.count() == 2
    assert not LockToken.objects.exists()


@pytest.mark.parametrize("button", ["_save", "_lock_again"])
def test_what_a_class_behind_writes_on_a_refused_post_does_not_stay(
    alice, story, serve, button
):
    class Publishing(admin.ModelAdmin):
        def changeform_view(
            self, request, object_id=None, form_url="", extra_context=None
        ):
            if "_publish" in request.POST:
                Story.objects.filter(pk=object_id).update(is_urgent=True)
            if "answer" in request.POST:
                return HttpResponse("Published")
            return super().changeform_view(request, object_id, form_url, extra_context)

    serve(mixed(LockableModelAdmin, Publishing, fields=["headline", "body"]))
    page = alice.open(story)
    take_and_leave(story)
    for more in ({}, {"answer": "1"}):
        data = form_of(page, button, "_publish", body="Mine") | more
        answer = alice.post(url_of(story), data)
        assert not saved(story).is_urgent
        assert saved(story).body == "Once"
        if more:
            assert answer.text == "Published"
        else:
            assert form_of(answer)["body"] == ["Mine"]
    # With the lock it stays.
    page = alice.open(story)
    alice.send(page, "_publish", body="Mine")
    assert saved(story).is_urgent


def test_without_the_api_the_pages_work_all_the_same(alice, bob, settings, story):
    site = new_site()
    site.register(Story, mixed(ShortAdmin, LockableModelAdmin))
    settings.ROOT_URLCONF = (path("admin/", site.urls),)
    pages = goes_its_way(alice, bob, story)
    for page in pages.values():
        assert not page.context["lock_page"].has_client
        assert "lock_tokens/lock_tokens.js" not in page.text
    bob.open(story, "delete")
    assert bob.post(url_of(story, "delete"), {"post": "yes"}).status_code == 302
    assert not Story.objects.exists()


def test_a_model_that_the_api_may_not_know_has_no_client(alice, settings, story):
    settings.LOCK_TOKENS = {"API_MODELS": ["tests.Article"]}
    page = alice.open(story)
    assert state_of(page) == "held"
    assert not page.context["lock_page"].has_client


def test_what_the_api_cannot_find_has_no_client(alice, serve):
    """The admin's queryset may have what the model's own manager leaves out."""

    class Admin(LockableModelAdmin):
        def get_queryset(self, request):
            return Draft._base_manager.all()

    serve(Admin, Draft)
    hidden = Draft._base_manager.create(draft=False)
    page = alice.open(hidden)
    assert state_of(page) == "held"
    assert not page.context["lock_page"].has_client
    assert alice.send(page, user="alice").status_code == 302
    assert Draft._base_manager.get().user == "alice"
    alice.send_late(alice.open(hidden), user="bob")


def test_attributes_reach_the_page_and_are_not_localized(alice, settings, story, serve):
    settings.LANGUAGE_CODE = "de"
    settings.USE_THOUSAND_SEPARATOR = True
    serve(
        StoryAdmin, lock_timeout=3600.5, lock_renew=False, lock_release_on_leave=False
    )
    text = alice.open(story).text
    for attribute in ('timeout="3600.5"', 'renew="false"', 'leave="false"'):
        assert f"data-{attribute}" in text


def test_form_urls_and_other_forms_are_kept(alice, story, serve):
    @serve
    class Admin(ShortAdmin, LockableModelAdmin):
        def change_view(self, request, object_id, form_url="", extra_context=None):
            return super().change_view(request, object_id, "/elsewhere/", extra_context)

    assert 'action="/elsewhere/"' in alice.open(story).text


def test_a_form_s_own_is_valid_still_decides(alice, story, serve):
    class Strict(forms.ModelForm):
        def is_valid(self):
            return super().is_valid() and self.data["headline"] != "Bad"

    serve(mixed(LockableModelAdmin, form=Strict))
    page = alice.open(story)
    assert alice.send(page, headline="Bad").status_code == 200
    assert standing_token(story) == token_of(page)
    expire(story)
    assert alice.send(page, headline="Good").status_code == 302
    assert saved(story).headline == "Good"


def test_a_field_that_a_form_alone_has_is_no_difference_of_the_object(
    alice, story, serve
):
    class Form(forms.ModelForm):
        reason = forms.CharField(required=False, initial="None yet")

    serve(LockableModelAdmin, form=Form, fields=["headline", "reason"])
    refused = alice.send_late(alice.open(story), reason="Because")
    (difference,) = refused.context["lock_page"].differences
    assert (difference.label, difference.current) == ("Reason", "None yet")


def test_the_admin_of_the_locks_stands_on_the_default_site():
    assert isinstance(admin.site.get_model_admin(LockToken), LockTokenAdmin)


def test_a_package_that_asks_before_it_saves_keeps_the_lock_meanwhile(
    alice, story, serve
):
    class Asking(admin.ModelAdmin):
        def changeform_view(self, request, *args, **kwargs):
            if request.method == "POST" and "_sure" not in request.POST:
                return HttpResponse("Are you sure?")
            return super().changeform_view(request, *args, **kwargs)

    serve(mixed(LockableModelAdmin, Asking, fields=["headline"]))
    page = alice.open(story)
    form = form_of(page, headline="Good")
    assert alice.post(url_of(story), form).content == b"Are you sure?"
    assert standing_token(story) == token_of(page)
    form.pop("lock_token")
    form["_sure"] = "1"
    assert alice.post(url_of(story), form).status_code == 302
    assert saved(story).headline == "Good"
    assert standing_token(story) is None
