"""The example project, walked over HTTP as two editors walk it. Needs no browser."""

import json
import re
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest

pytest.importorskip("rest_framework", reason="the example has an API of it")

from tests.support.editor import Editor

pytestmark = [pytest.mark.example, pytest.mark.any_database]

SAVED = "The article is saved. Other people can edit it again."


@pytest.fixture(scope="module")
def alice_(running):
    return Editor(running, "alice")


@pytest.fixture(scope="module")
def bob_(running):
    return Editor(running, "bob")


@pytest.fixture
def alice(demo, alice_):
    return alice_


@pytest.fixture
def bob(demo, bob_):
    return bob_


def test_demo_says_where_and_who(demo):
    said = demo.output()
    assert f"http://127.0.0.1:{demo.port}/" in said
    assert "alice, password alice" in said
    assert "bob, password bob" in said
    assert f"http://127.0.0.1:{demo.port}/admin/" in said
    assert "carol, password carol (editor-in-chief)" in said


def test_checks_and_migrations_are_complete(demo):
    said = demo.script(
        "from django.core.management import call_command\n"
        "call_command('check', fail_level='WARNING')\n"
        "call_command('makemigrations', check_changes=True, dry_run=True)"
    )
    assert "no issues" in said
    assert "No changes detected" in said


def test_one_edits_the_other_waits_and_then_edits(demo, alice, bob):
    form = alice.get("/articles/1/edit/")
    assert form.status == 200
    assert len(form.fields["lock_token"]) == 32
    assert demo.holders() == {1: "alice"}

    refused = bob.get("/articles/1/edit/")
    assert refused.status == 403
    assert "Alice Moreau is editing this article" in refused.text
    assert re.search(r"Since \d\d:\d\d Until \d\d:\d\d ?, or sooner", refused.text)
    assert "Try again Read the article All articles" in refused.text
    assert re.search(
        r'href="/articles/1/edit/" data-when="taken [^>]*>\s*<', refused.html
    )
    assert bob.get("/articles/1/").status == 200
    assert "Alice Moreau is editing" in bob.get("/").text
    assert "You are editing" not in bob.get("/").text
    assert "You are editing" in alice.get("/").text
    assert "Alice Moreau is editing" not in alice.get("/").text

    saved = alice.post("/articles/1/edit/", form, body="By Alice.")
    assert (saved.status, saved.path) == (200, "/articles/1/")
    assert SAVED in saved.text
    assert demo.body(1) == "By Alice."
    assert demo.holders() == {}

    form = bob.get("/articles/1/edit/")
    assert form.fields["body"] == "By Alice."
    assert bob.post("/articles/1/edit/", form, body="By Bob.").path == "/articles/1/"
    assert demo.body(1) == "By Bob."


def test_form_with_errors_keeps_the_lock(demo, alice):
    form = alice.get("/articles/1/edit/")
    again = alice.post("/articles/1/edit/", form, headline="", body="Kept.")
    assert again.status == 200
    assert "You are still editing the article" in again.text
    assert again.fields["lock_token"] == form.fields["lock_token"]
    assert demo.holders() == {1: "alice"}
    saved = alice.post("/articles/1/edit/", again, headline="A headline")
    assert SAVED in saved.text
    assert demo.body(1) == "Kept."


def test_void_token_is_refused_and_the_text_is_kept(demo, alice, bob):
    stale = alice.get("/articles/2/edit/")
    demo.let_expire(2)
    form = bob.get("/articles/2/edit/")
    assert form.status == 200

    typed = "First line.\r\n\r\n</textarea><script>alert(1)</script> & “more”"
    refused = alice.post("/articles/2/edit/", stale, headline="Hers", body=typed)
    assert refused.status == 403
    assert "Not saved. Your text is safe on this page" in refused.text
    assert "Bob Lindqvist is editing it now" in refused.text
    assert refused.fields["typed-1"] == "Hers"
    assert refused.fields["typed-2"] == typed
    assert refused.headers["Cache-Control"] == "no-store"
    assert demo.holders() == {2: "bob"}

    assert SAVED in bob.post("/articles/2/edit/", form, body="His.").text
    refused = alice.post("/articles/2/edit/", stale, body="Hers again.")
    assert refused.status == 403
    assert "Nobody is editing it now." in refused.text
    assert "His." in refused.text
    assert refused.fields["typed-2"] == "Hers again."
    assert demo.body(2) == "His."


def test_expired_lock_that_nobody_took_still_saves(demo, alice):
    form = alice.get("/articles/2/edit/")
    demo.let_expire(2)
    assert SAVED in alice.post("/articles/2/edit/", form, body="Late.").text
    assert demo.body(2) == "Late."


def test_second_tab_does_not_save_over_what_came_between(demo, alice, bob):
    first_tab = alice.get("/articles/2/edit/")
    demo.let_expire(2)
    bob.post("/articles/2/edit/", bob.get("/articles/2/edit/"), body="Between.")
    second_tab = alice.get("/articles/2/edit/")
    assert second_tab.fields["lock_token"] != first_tab.fields["lock_token"]
    refused = alice.post("/articles/2/edit/", first_tab, body="Before.")
    assert refused.status == 403
    assert "You have it open in another tab or browser." in refused.text
    assert demo.body(2) == "Between."
    # Nor does leaving in the old tab take the lock from the new one.
    alice.post("/articles/2/leave/", first_tab)
    assert demo.holders() == {2: "alice"}
    assert SAVED in alice.post("/articles/2/edit/", second_tab, body="After.").text


def test_second_click_on_save_is_no_refusal(demo, alice):
    form = alice.get("/articles/2/edit/")
    for _click in range(2):
        page = alice.post(
            "/articles/2/edit/", form, body="Twice.\r\n\r\nTwo lines.\r\n"
        )
        assert (page.status, page.path) == (200, "/articles/2/")
        assert "The article is saved" in page.text
    assert demo.body(2) == "Twice.\n\nTwo lines."


def test_leaving_and_signing_out_release(demo, alice):
    form = alice.get("/articles/1/edit/")
    before = demo.body(1)
    page = alice.post("/articles/1/leave/", form, body="Given up.")
    assert "You left the article without changing it." in page.text
    assert demo.holders() == {}
    assert demo.body(1) == before

    passing = Editor(demo, "bob")
    form = passing.get("/articles/1/edit/")
    passing.get("/articles/2/edit/")
    assert demo.holders() == {1: "bob", 2: "bob"}
    assert passing.post("/sign-out/", form).path == "/sign-in/"
    assert demo.holders() == {}

    for path in ("/articles/1/edit/", "/articles/1/leave/"):
        refused = passing.post(path, form, body="Too late.")
        assert refused.status == 403
        assert "You are signed out, so nothing was saved" in refused.text
        assert 'href="/sign-in/?next=/articles/1/edit/"' in refused.html
        assert refused.fields["typed-2"] == "Too late."
    assert demo.body(1) == before


def test_form_from_before_the_sign_in_keeps_its_text(demo):
    passing = Editor(demo, "bob")
    form = passing.get("/articles/1/edit/")
    passing.post("/sign-out/", form)
    passing.post("/sign-in/", passing.get("/sign-in/"), username="bob", password="bob")
    refused = passing.post("/articles/1/edit/", form, body="Too old.")
    assert refused.status == 403
    assert "This page was too old, so nothing was saved" in refused.text
    assert refused.fields["typed-2"] == "Too old."


def test_one_person_in_two_browsers(demo, alice):
    alice.get("/articles/1/edit/")
    refused = Editor(demo, "alice").get("/articles/1/edit/")
    assert refused.status == 403
    assert "You are editing this article somewhere else" in refused.text


def test_article_that_never_was(demo, alice):
    for path in ("/articles/77/", "/articles/77/edit/", "/articles/77/delete/"):
        page = alice.get(path)
        assert page.status == 404
        assert "This article no longer exists" in page.text


def test_deleting_needs_the_lock_and_keeps_what_others_typed(demo, alice, bob):
    stale = alice.get("/articles/5/edit/")
    assert "Alice Moreau is editing" in bob.get("/articles/5/delete/").text
    demo.let_expire(5)
    bob.post("/articles/5/leave/", bob.get("/articles/5/delete/"))  # keeps it
    assert demo.holders() == {}
    form = bob.get("/articles/5/delete/")
    refused = alice.post("/articles/5/delete/", stale)
    assert refused.status == 403
    assert "Nothing was done because the article may have changed" in refused.text
    assert bob.post("/articles/5/delete/", form).path == "/"
    assert demo.sql("SELECT 1 FROM newsroom_article WHERE id = 5") == []
    assert demo.holders() == {}
    gone = alice.post("/articles/5/edit/", stale, body="For nobody.")
    assert gone.status == 404
    assert "This article no longer exists" in gone.text
    assert gone.fields["typed-body"] == "For nobody."


def test_publishing_holds_the_lock_for_a_moment(demo, alice, bob):
    def published():
        return demo.sql("SELECT published_at FROM newsroom_article WHERE id = 4")

    page = bob.get("/articles/4/")
    form = alice.get("/articles/4/edit/")
    refused = bob.post("/articles/4/publish/", page)
    assert refused.status == 403
    assert "Alice Moreau is editing this article" in refused.text
    assert "Try again</a>" not in refused.html
    own = alice.post("/articles/4/publish/", alice.get("/articles/4/"))
    assert "The article was not published because you are editing it" in own.text
    assert demo.holders() == {4: "alice"}
    assert published() == [(None,)]

    alice.post("/articles/4/leave/", form)
    assert "Published." in bob.post("/articles/4/publish/", page).text
    assert published() != [(None,)]
    assert demo.holders() == {}


def test_a_job_holds_the_lock_while_it_runs(demo, alice, bob):
    before = demo.body(3)
    form = alice.get("/articles/3/edit/")
    refused = demo.manage("import_wire", "3", "From the wire.", check=False)
    assert refused.returncode == 1
    assert "Alice Moreau is editing" in refused.stderr
    assert demo.body(3) == before
    alice.post("/articles/3/leave/", form)

    jobs = []
    job = threading.Thread(
        target=lambda: jobs.append(
            demo.manage("import_wire", "3", "From the wire.", "--seconds", "2")
        )
    )
    job.start()
    while job.is_alive() and not demo.holders():
        time.sleep(0.02)
    assert "The wire desk is editing" in bob.get("/articles/3/edit/").text
    job.join()
    assert "Added." in jobs[0].stdout
    assert demo.body(3) == before + "\n\nFrom the wire."
    assert demo.holders() == {}


def test_only_for_those_who_are_signed_in(demo):
    stranger = Editor(demo)
    for path in ("/", "/articles/1/", "/articles/1/edit/", "/articles/1/delete/"):
        assert stranger.get(path).path == "/sign-in/"
    assert demo.holders() == {}


def test_no_method_gets_past_the_lock(demo, alice):
    page = alice.get("/articles/1/")
    headers = {
        "Cookie": alice.cookies(),
        "X-CSRFToken": page.fields["csrfmiddlewaretoken"],
    }
    for method in ("DELETE", "PUT", "PATCH"):
        for path in ("/articles/1/delete/", "/articles/1/edit/"):
            assert demo.request(method, path, headers).status == 405


def test_pages_bring_what_keeps_and_watches_locks(demo, alice, bob):
    scripts = re.compile(r'<script src="(\S+)" defer(?: data-lock-tokens-url="(\S+)")?')
    expected = [
        ("/static/lock_tokens/lock_tokens.js", "/locks/"),
        ("/static/newsroom/newsroom.js", ""),
    ]
    form = alice.get("/articles/1/edit/")
    assert scripts.findall(form.html) == expected
    assert 'data-hold="1"' in form.html
    assert form.fields["lock_token"] == demo.token(1)
    delete = alice.get("/articles/2/delete/")
    assert 'data-hold="2"' in delete.html
    assert delete.fields["lock_token"] == demo.token(2)
    # Nothing is said of the lock before a script knows of it.
    for page in (form, delete):
        for said in ("while this page is open", "connection", "signed out", "Copy"):
            assert said not in page.text
        assert "no longer" not in page.text

    assert alice.get("/").html.count('data-now="mine"') == 2
    watching = bob.get("/")
    assert scripts.findall(watching.html) == expected
    ((articles,),) = demo.sql("SELECT count(*) FROM newsroom_article")
    assert watching.html.count("data-watch=") == articles
    assert watching.html.count('data-now="taken"') == 2
    for path in ("/articles/1/", "/articles/1/edit/", "/articles/1/delete/"):
        page = bob.get(path)
        assert page.html.count('data-watch="1" data-now="taken"') == 1
        assert "Alice Moreau is editing this article" in page.text
        assert "free now" not in page.text.lower()
    assert scripts.findall(Editor(demo).get("/sign-in/").html) == []


def test_the_lock_api_is_for_editors_and_about_articles(demo, alice, bob):
    form = alice.get("/articles/1/edit/")
    page = bob.get("/locks/newsroom/article/?object_id=1&object_id=2&object_id=77")
    states = json.loads(page.html)["states"]
    assert states["1"]["locked_by"] == "Alice Moreau"
    assert states["2"]["locked"] is False
    assert states["77"] is None
    assert form.fields["lock_token"] not in page.html
    assert json.loads(alice.get("/locks/newsroom/section/?object_id=1").html)["states"]
    for path in ("newsroom/article/77/", "newsroom/correction/1/", "auth/user/1/"):
        page = alice.get(f"/locks/{path}")
        assert (page.status, json.loads(page.html)["error"]) == (404, "not_found")

    stranger = Editor(demo)
    assert stranger.get("/locks/newsroom/article/1/").path == "/sign-in/"
    # Neither is JSON: to the client that is somebody who is signed out.
    lock = f"/locks/newsroom/article/1/{form.fields['lock_token']}/"
    assert demo.request("PATCH", lock).status == 302
    assert demo.request("POST", "/locks/newsroom/article/2/").status == 403
    assert demo.holders() == {1: "alice"}


def test_style_scripts_and_icon_are_served(demo):
    names = ("newsroom/newsroom.css", "newsroom/newsroom.js", "newsroom/icon.svg")
    for name in (*names, "lock_tokens/lock_tokens.js"):
        with urllib.request.urlopen(f"{demo.url}/static/{name}") as answer:
            assert answer.status == 200


def test_query_counts(demo):
    """Four for the list (session, user, articles, locks), however many are locked.

    One more for an article: its corrections.
    """
    counted = demo.script(
        """
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from newsroom.models import Article

client = Client(headers={"host": "localhost"})
client.force_login(get_user_model().objects.get(username="alice"))
ContentType.objects.get_for_model(Article)

def count(path):
    with CaptureQueriesContext(connection, ) as queries:
        assert client.get(path).status_code == 200
    return len(queries)

print(count("/"), end=" ")
for article in Article.objects.all():
    article.lock(user=get_user_model().objects.get(username="bob"))
print(count("/"), end=" ")
print(count("/articles/1/"))
"""
    )
    assert counted == "4 4 5"


def test_demo_changes_nothing_in_a_newsroom_that_is_used(demo, alice):
    alice.post("/articles/1/edit/", alice.get("/articles/1/edit/"), body="Mine.")
    articles = demo.sql("SELECT * FROM newsroom_article ORDER BY id")
    demo.sql("UPDATE auth_user SET is_staff = 0 WHERE username = 'bob'")
    accounts = demo.sql("SELECT * FROM auth_user ORDER BY id")
    demo.stop()
    said = demo.manage("demo", "--no-serve").stdout
    assert "The newsroom is as you left it." in said
    demo.start()
    assert demo.sql("SELECT * FROM newsroom_article ORDER BY id") == articles
    assert demo.sql("SELECT * FROM auth_user ORDER BY id") == accounts
    demo.sql("UPDATE auth_user SET is_staff = 1 WHERE username = 'bob'")
    # The session is still good too.
    assert "Mine." in alice.get("/articles/1/").text


def test_demo_refuses_an_address_that_is_none(demo):
    refused = demo.manage("demo", "localhost", "--no-serve", check=False)
    assert refused.returncode == 1
    assert "neither a port nor an address" in refused.stderr


def test_demo_says_at_once_that_its_port_is_taken_and_which_to_try(demo):
    demo.start()
    for address in (str(demo.port), f"127.0.0.1:{demo.port}"):
        refused = demo.manage("demo", address, check=False)
        assert refused.returncode == 1
        assert f": port {demo.port} is already in use." in refused.stderr
        assert "manage.py demo 8001" in refused.stderr
        assert refused.stdout == ""
    refused = demo.manage("demo", "99999", check=False)
    assert "Cannot serve on 127.0.0.1:99999: " in refused.stderr


# The admin


CHANGE = "/admin/newsroom/article/{}/change/"
ARTICLES = "/admin/newsroom/article/"
LOCKS = "/admin/lock_tokens/locktoken/"


class Staff(Editor):
    """Somebody who works in the admin."""

    SIGN_IN = "/admin/login/"
    HOME = "/admin/"

    def save(self, article, page, **changes):
        fields = {"_save": "Save", **changes}
        return self.post(CHANGE.format(article), page, **fields)


@pytest.fixture(scope="module")
def staff_(running):
    return {name: Staff(running, name) for name in ("alice", "bob", "carol")}


@pytest.fixture
def staff(demo, staff_):
    return staff_


def log(demo):
    return demo.sql("SELECT change_message FROM django_admin_log ORDER BY id DESC")


def test_admin_one_edits_the_other_reads_and_then_edits(demo, staff):
    alice, bob = staff["alice"], staff["bob"]
    form = alice.get(CHANGE.format(1))
    assert form.fields["lock_token"] == demo.token(1)
    assert demo.holders() == {1: "alice"}

    locked = bob.get(CHANGE.format(1))
    assert locked.status == 200
    assert "Alice Moreau is editing this" in locked.text
    assert "Headline:" in locked.text
    assert "Take over" not in locked.text
    assert not {"headline", "body", "lock_token"} & {*locked.fields}
    listed = bob.get(ARTICLES)
    assert "Alice Moreau, since" in listed.text
    assert "Alice Moreau" in bob.get(f"{ARTICLES}?lock=locked").text
    assert "Alice Moreau" not in bob.get(f"{ARTICLES}?lock=free").text

    change = {"headline": "By Alice", "corrections-0-text": "It was Tuesday."}
    saved = alice.save(1, form, **change)
    assert saved.path == ARTICLES
    assert "was changed successfully" in saved.text
    assert demo.holders() == {}
    # The newsroom's page says who saved it, and has the correction.
    page = bob.get("/articles/1/")
    assert "by Alice Moreau" in page.text
    assert "Correction: It was Tuesday." in page.text
    assert bob.get(CHANGE.format(1)).fields["headline"] == "By Alice"
    assert demo.holders() == {1: "bob"}


def test_admin_and_newsroom_know_of_each_other(demo, staff, alice, bob):
    alice.get("/articles/2/edit/")
    assert "Alice Moreau is editing this" in staff["bob"].get(CHANGE.format(2)).text
    form = staff["bob"].get(CHANGE.format(3))
    assert "Bob Lindqvist is editing" in alice.get("/articles/3/edit/").text
    # Both have a way to the other.
    assert 'href="/admin/"' in alice.get("/").html
    assert 'href="/admin/newsroom/article/4/change/"' in alice.get("/articles/4/").html
    (to_site,) = re.findall(r'href="(\S+)" class="viewsitelink"', form.html)
    assert staff["bob"].get(to_site).path == "/articles/3/"


def test_admin_editor_in_chief_takes_over(demo, staff):
    form = staff["alice"].get(CHANGE.format(3))
    page = staff["carol"].get(CHANGE.format(3))
    assert "Take over from Alice Moreau" in page.text
    (value,) = set(re.findall(r'name="_take_over" value="(\S+?)"', page.html))
    # Not for those who may not.
    staff["bob"].post(CHANGE.format(3), page, _take_over=value)
    assert demo.holders() == {3: "alice"}
    taken = staff["carol"].post(
        CHANGE.format(3), staff["carol"].get(CHANGE.format(3)), _take_over=value
    )
    assert demo.holders() == {3: "carol"}
    assert taken.fields["lock_token"] == demo.token(3)
    assert "Alice Moreau" in log(demo)[0][0]
    refused = staff["alice"].save(3, form, body="Too late.")
    assert refused.status == 403
    assert "Carol Adeyemi is editing this" in refused.text
    assert refused.fields["body"] == "Too late."


def test_admin_editor_in_chief_sees_and_releases_locks(demo, staff):
    form = staff["alice"].get(CHANGE.format(4))
    assert LOCKS in staff["carol"].get("/admin/").html
    assert LOCKS not in staff["bob"].get("/admin/").html
    locks = staff["carol"].get(LOCKS)
    assert "A seal with a ticket to everywhere" in locks.text
    assert "Alice Moreau" in locks.text
    assert form.fields["lock_token"] not in locks.html
    ((key,),) = demo.sql("SELECT id FROM lock_tokens_locktoken")
    chosen = {"action": "delete_selected", "_selected_action": str(key)}
    asked = staff["carol"].post(LOCKS, locks, **chosen)
    assert demo.holders() == {4: "alice"}
    assert "Only the lock is released" in asked.text
    released = staff["carol"].post(LOCKS, asked, **chosen, post="yes")
    assert "1 lock was released" in released.text
    assert demo.holders() == {}


def test_admin_publishes_all_but_what_others_are_editing(demo, staff):
    demo.sql("UPDATE newsroom_article SET published_at = NULL")
    staff["alice"].get(CHANGE.format(1))
    listed = staff["bob"].get(ARTICLES)
    keys = [str(key) for (key,) in demo.sql("SELECT id FROM newsroom_article")]
    answer = staff["bob"].post(
        ARTICLES, listed, action="publish", _selected_action=keys
    )
    assert "This was skipped because somebody else is editing it" in answer.text
    assert re.search(r"\(Alice Moreau, since \d", answer.text)
    assert f"{len(keys) - 1} articles were published." in answer.text
    drafts = demo.sql("SELECT id FROM newsroom_article WHERE published_at IS NULL")
    assert drafts == [(1,)]
    assert demo.holders() == {1: "alice"}


def test_admin_sections_lock_too(demo, staff):
    page = "/admin/newsroom/section/1/change/"
    form = staff["carol"].get(page)
    assert form.fields["lock_token"] == demo.token(1)
    # Editors only look at them, and take no lock by that.
    demo.sql("DELETE FROM lock_tokens_locktoken")
    assert "name" not in staff["alice"].get(page).fields
    assert demo.holders() == {}


def test_admin_signs_in_and_out_by_itself(demo):
    stranger = Staff(demo)
    page = stranger.get(CHANGE.format(1))
    assert page.path == "/admin/login/"
    fields = {"username": "bob", "password": "bob"}
    form = stranger.post("/admin/login/?next=" + CHANGE.format(1), page, **fields)
    assert form.path == CHANGE.format(1)
    assert demo.holders() == {1: "bob"}
    before = demo.body(1)
    stranger.post("/admin/logout/", form)
    assert demo.holders() == {}
    refused = stranger.save(1, form, body="Too late.")
    assert refused.status == 403
    assert "You are signed out" in refused.text
    assert "Too late." in refused.fields.values()
    assert demo.body(1) == before


def test_admin_form_from_before_the_sign_in_keeps_its_text(demo):
    bob = Staff(demo, "bob")
    form = bob.get(CHANGE.format(1))
    bob.post("/admin/logout/", form)
    fields = {"username": "bob", "password": "bob"}
    bob.post("/admin/login/", bob.get("/admin/login/"), **fields)
    change = {"body": "Too old.", "corrections-0-text": "A slip."}
    refused = bob.save(1, form, **change)
    assert refused.status == 403
    assert "This page was too old, so nothing was saved" in refused.text
    assert {"Too old.", "A slip."} <= set(refused.fields.values())
    assert f'href="{CHANGE.format(1)}"' in refused.html
