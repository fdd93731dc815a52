"""An admin with lockable models, the people who use it, and what their browsers send."""

import re
from html.parser import HTMLParser

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.admin.sites import all_sites
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Permission, User
from django.http import FileResponse, HttpResponse
from django.test import Client
from django.urls import include, path, reverse

from lock_tokens.admin import LockableModelAdmin, LockStateFilter
from lock_tokens.models import LockToken
from tests.models import (
    Article,
    ArticleProxy,
    Comment,
    Desk,
    Feature,
    Keyword,
    Label,
    Page,
    Plain,
    Shift,
    Story,
)
from tests.support.helpers import race


def new_site(name="admin"):
    """Return an admin site that ``manage.py check`` knows nothing of.

    Its URLs are there only in the tests that ask for them, its complaints too.
    """
    site = admin.AdminSite(name)
    all_sites.discard(site)
    return site


def urls_of_site(site):
    """Return a ROOT_URLCONF with the site and the API."""
    return (path("admin/", site.urls), path("locks/", include("lock_tokens.urls")))


site = new_site()

LIST = "/admin/tests/story/"
CHANGE = "tests.change_story"
TAKE_OVER = "lock_tokens.take_over_locktoken"


class CommentInline(admin.TabularInline):
    model = Comment
    extra = 1


@admin.action
def shout(model_admin, request, queryset):
    for story in queryset:
        story.headline = story.headline.upper()
        story.save()


@admin.action
def update_all(model_admin, request, queryset):
    queryset.update(body="updated")


@admin.action
def ask(model_admin, request, queryset):
    return HttpResponse("Are you sure?")


@admin.action
def export(model_admin, request, queryset):
    return FileResponse(
        iter([story.headline.encode() for story in queryset]), filename="stories.txt"
    )


@admin.action
def print_all(model_admin, request, queryset):
    return HttpResponse(" ".join(story.headline for story in queryset))


class StoryAdmin(LockableModelAdmin):
    inlines = [CommentInline]
    list_display = ["headline", "is_urgent", "body", "lock_state"]
    list_editable = ["is_urgent", "body"]
    list_filter = [LockStateFilter, "is_urgent"]
    save_as = True
    ordering = ["pk"]
    actions = [shout, update_all, ask, export, print_all]
    lock_exempt_actions = ["print_all"]


class TextAdmin(LockableModelAdmin):
    list_display = ["__str__", "lock_state"]
    list_filter = [LockStateFilter]


site.register(Story, StoryAdmin)
site.register(Comment, LockableModelAdmin)
site.register(Keyword)
site.register(
    [Article, ArticleProxy, Feature, Page, Label, Plain, Desk, Shift], TextAdmin
)

urlpatterns = urls_of_site(site)


class Person(Client):
    """Somebody signed in to the admin, with a browser of their own."""

    def __init__(self, user, cookies=None):
        super().__init__()
        self.user = user
        if cookies is None:
            self.force_login(user)
        else:
            self.cookies = cookies

    def elsewhere(self):
        """Return the same person at another browser."""
        return Person(self.user)

    def other_tab(self):
        """Return the same browser, for a thread of its own."""
        return Person(self.user, self.cookies)

    def open(self, obj, view="change", **query):
        """Return the object's page."""
        return self.get(url_of(obj, view, **query))

    def send(self, page, *buttons, follow=False, **changes):
        """Send the page's form to its address, as :func:`form_of` has it."""
        url = page.wsgi_request.get_full_path()
        return self.post(url, form_of(page, *buttons, **changes), follow=follow)

    def send_late(self, page, *buttons, **changes):
        """Send it when another has had the lock: the page returned keeps the changes."""
        take_and_leave(page.context["original"])
        refused = self.send(page, *buttons, **changes)
        assert_refused(refused, **changes)
        return refused


def person(name, *permissions):
    """Return a new member of the staff, who may do all or what is permitted."""
    user = User.objects.create_user(
        name,
        first_name=name.title(),
        last_name="Writer",
        is_staff=True,
        is_superuser=not permissions,
    )
    permit(user, *permissions)
    return Person(user)


def permit(user, *permissions):
    for permission in permissions:
        app_label, codename = permission.split(".")
        user.user_permissions.add(
            Permission.objects.get(content_type__app_label=app_label, codename=codename)
        )


def url_of(obj, view="change", site="admin", **query):
    """Return the address of a page of the object."""
    names = f"{obj._meta.app_label}_{obj._meta.model_name}"
    url = reverse(f"admin:{names}_{view}", args=[quote(obj.pk)], current_app=site)
    return url + ("?" + "&".join(f"{k}={v}" for k, v in query.items()) if query else "")


def list_of(model, site="admin"):
    names = f"{model._meta.app_label}_{model._meta.model_name}"
    return reverse(f"admin:{names}_changelist", current_app=site)


class Controls(HTMLParser):
    """What a browser would send of a page's forms, and their buttons."""

    def __init__(self, text):
        super().__init__()
        self.fields = {}
        self.buttons = set()
        self._textarea = self._select = None
        self.feed(text)

    def add(self, name, value):
        self.fields.setdefault(name, []).append(value)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        name, kind = given.get("name"), given.get("type", "text")
        if tag == "textarea" and name:
            self._textarea = name
            self.add(name, "")
        elif tag == "select":
            self._select = name
        elif tag == "option" and "selected" in given and self._select:
            self.add(self._select, given.get("value", ""))
        elif kind == "submit":
            self.buttons.add(name)
        elif tag == "input" and name and "disabled" not in given:
            ticked = kind in ("checkbox", "radio")
            if not ticked or "checked" in given:
                self.add(name, given.get("value", "on" if ticked else ""))

    def handle_endtag(self, tag):
        if tag == "textarea":
            self._textarea = None
        if tag == "select":
            self._select = None

    def handle_data(self, data):
        if self._textarea:
            before = self.fields[self._textarea].pop()
            # As browsers do: a line break right behind the tag is not the text's.
            self.add(self._textarea, before + (data if before else data.lstrip("\r\n")))


def text_of(response):
    return response.text


def buttons_of(response):
    return Controls(response.text).buttons


def form_of(response, *buttons, **changes):
    """Return what the page's form sends with a button pressed: ``_save`` by default.

    ``changes`` is what was typed; ``None`` takes a field out. Two underscores in a name
    stand for a dash.
    """
    data = {**Controls(response.text).fields}
    for name in [name for name in data if "__prefix__" in name]:
        del data[name]
    for name, value in changes.items():
        if not name.startswith("_"):
            name = name.replace("__", "-")
        data[name] = value
    for button in buttons or ("_save",):
        data.setdefault(button, "1")
    return {name: value for name, value in data.items() if value is not None}


def state_of(response):
    """Return the state that the page shows."""
    # Not from response.context, which of two requests in threads has both.
    (state,) = re.findall(r'data-state="(\w+)"', response.text)
    return state


def assert_refused(response, **typed):
    """Check that the page says that nothing was saved, and gives the text back."""
    assert response.status_code == 403
    assert state_of(response) == "refused"
    form = form_of(response)
    for name, value in typed.items():
        assert form[name.replace("__", "-")] == [value]


def token_of(response):
    """Return the token in the page's hidden field."""
    (token,) = Controls(response.text).fields["lock_token"]
    return token


def holder_of(obj):
    """Return the user who holds the object's live lock."""
    info = LockToken.objects.info(obj)
    return info and info.locked_by


def standing_token(obj):
    current_token = LockToken.objects.current_token(obj)
    return current_token and current_token.token


def messages_of(response):
    return [str(message) for message in response.context["messages"]]


def take_and_leave(obj):
    """Let another have the object's lock for a while, and leave."""
    lock = LockToken.objects.take_over(obj)
    LockToken.objects.release(obj, lock.token_str)


def saved(story):
    """Return the story, or what else it is, as the database has it."""
    return type(story).objects.get(pk=story.pk)


def nothing_was_written(story):
    again = saved(story)
    return (
        (again.headline, again.body) == (story.headline, story.body)
        and not Comment.objects.exists()
        and not again.keywords.exists()
        and not LogEntry.objects.exists()
    )


def everything_typed(page, keyword):
    return form_of(
        page,
        headline="My headline",
        body="My body\nin two lines",
        is_urgent="on",
        comment_set__0__text="My remark",
        keywords=[keyword.pk],
    )


def asked(answer):
    """Return what the page's take-over button sends."""
    value = answer.context["lock_page"].take_over_value
    assert value
    return value


def headlines():
    return [story.headline for story in Story.objects.order_by("pk")]


def bodies():
    return [story.body for story in Story.objects.order_by("pk")]


def act(somebody, action, objects, url=LIST, **more):
    """Run an action on the objects, as the list's button does."""
    data = {
        "action": action,
        "index": "0",
        "select_across": "0",
        "_selected_action": [str(obj.pk) for obj in objects],
        **more,
    }
    return somebody.post(url, data, follow=True)


def interrupted_by(somebody, story):
    """Return an admin in which somebody else saves the story, once a list has been read."""
    turns = []

    def save():
        page = form_of(somebody.open(story), headline="Theirs", body="Theirs")
        return somebody.post(url_of(story), page).status_code

    class Admin(StoryAdmin):
        def get_changelist_instance(self, request):
            changes = super().get_changelist_instance(request)
            if request.method == "POST" and not turns:
                turns.extend(race(save))
            return changes

    return Admin, turns
