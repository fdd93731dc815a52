"""The example's API over HTTP, and the script that edits an article through it."""

import base64
import contextlib
import http.client
import json
import re
import subprocess
import sys

import pytest

from tests.support.demo import EXAMPLE, free_port

pytest.importorskip("rest_framework", reason="the example has an API of it")

from tests.support.editor import Editor

pytestmark = [pytest.mark.example, pytest.mark.any_database]

SCRIPT = EXAMPLE / "edit_over_http.py"
WRITTEN = (
    r"\n\nThe first paragraph over HTTP\. \(alice, \d\d:\d\d:\d\d\)"
    r"\n\nA paragraph in between\. \(bob, \d\d:\d\d:\d\d\)"
    r"\n\nThe last paragraph over HTTP\. \(alice, \d\d:\d\d:\d\d\)"
)
# What it is answered, but for how often it asks whether a lock has expired.
STORY = [
    "alice: GET /api/articles/1/ -> 200",
    "alice: PATCH /api/articles/1/ -> 428 lock_required",
    "alice: POST /api/articles/1/lock/ -> 201",
    "alice: GET /api/articles/1/ -> 200",
    "alice: PATCH /api/articles/1/ with a token -> 200",
    "bob: PATCH /api/articles/1/ -> 423 locked",
    "alice: PATCH /api/articles/1/lock/ with a token -> 200",
    "bob: GET /api/articles/1/lock/ -> 200",
    "bob: POST /api/articles/1/lock/ -> 201",
    "bob: GET /api/articles/1/ -> 200",
    "bob: PATCH /api/articles/1/ with a token -> 200",
    "bob: DELETE /api/articles/1/lock/ with a token -> 204",
    "alice: PATCH /api/articles/1/ with a token -> 412 not_locked",
    "alice: POST /api/articles/1/lock/ -> 201",
    "alice: GET /api/articles/1/ -> 200",
    "alice: PATCH /api/articles/1/ with a token -> 200",
    "alice: DELETE /api/articles/1/lock/ with a token -> 204",
]


class Answer:
    """What the API answers: always JSON, or nothing."""

    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        content = response.read()
        if content:
            assert response.headers["Content-Type"] == "application/json"
        self.json = json.loads(content) if content else None


@pytest.fixture
def ask(demo):
    """Ask the API: a method, what comes after ``/api/articles/``, who, fields, token."""

    def asked(method, path, account=None, fields=None, token=None, **headers):
        if account:
            credentials = base64.b64encode(f"{account}:{account}".encode()).decode()
            headers["Authorization"] = f"Basic {credentials}"
        if token:
            headers["Lock-Token"] = token
        headers["Content-Type"] = "application/json"
        with contextlib.closing(
            http.client.HTTPConnection("127.0.0.1", demo.port, timeout=30)
        ) as connection:
            body = json.dumps(fields) if fields else None
            connection.request(method, f"/api/articles/{path}", body, headers)
            return Answer(connection.getresponse())

    return asked


def run_script(*arguments):
    """Run it without any package: it needs Python alone."""
    return subprocess.run(
        [sys.executable, "-I", "-S", "-X", "utf8", str(SCRIPT), *arguments],
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


def last_editor(demo, article):
    ((name,),) = demo.sql(
        "SELECT username FROM newsroom_article"
        " JOIN auth_user ON auth_user.id = last_edited_by_id"
        " WHERE newsroom_article.id = ?",
        article,
    )
    return name


def test_script_is_refused_and_recovers_and_loses_nothing(demo):
    for _run in range(2):
        before = demo.body(1)
        run = run_script("--address", demo.url)
        assert (run.returncode, run.stderr) == (0, "")
        answers = re.findall(r"^ +((?:alice|bob): .*)", run.stdout, re.MULTILINE)
        once = list(dict.fromkeys(answers[7:-9]))
        assert [*answers[:7], *once, *answers[-9:]] == STORY
        assert run.stdout.count("Lock-Expires-At: 20") == 3
        assert run.stdout.endswith("All three paragraphs are saved. No lock remains.\n")
        after = demo.body(1)
        assert after.startswith(before)
        assert re.fullmatch(WRITTEN, after.removeprefix(before))
        assert last_editor(demo, 1) == "alice"
        assert demo.holders() == {}


def test_script_takes_an_article_and_accounts(demo):
    before = demo.body(2)
    run = run_script(
        *("2", "--address", f"{demo.url}/"),
        *("--account", "carol:carol", "--colleague", "alice"),
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert "carol: PATCH /api/articles/2/ with a token -> 412 not_locked" in run.stdout
    assert "A paragraph in between. (alice, " in demo.body(2).removeprefix(before)
    assert last_editor(demo, 2) == "carol"
    assert demo.holders() == {}


def test_script_says_when_no_newsroom_is_there(demo):
    nowhere = f"127.0.0.1:{free_port()}"
    for address in (f"http://{nowhere}", nowhere):
        run = run_script("--address", address)
        assert run.returncode == 1
        assert f"There is no newsroom at {address} (" in run.stderr
        assert "Traceback" not in run.stderr
    run = run_script("--address", f"{demo.url}/admin")
    assert run.returncode == 1
    assert (
        f"The server at {demo.url}/admin does not have the newsroom's API."
        in run.stderr
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--account", "mallory"], "does not know mallory with this password"),
        (["--account", "alice:wrong"], "does not know alice with this password"),
        (["--colleague", "mallory"], "does not know mallory with this password"),
        (["77"], "There is no article at "),
    ],
    ids=["account", "password", "colleague", "article"],
)
def test_script_says_what_is_wrong_and_leaves_no_lock(demo, arguments, message):
    run = run_script("--address", demo.url, *arguments)
    assert run.returncode == 1
    assert message in run.stderr
    assert "Traceback" not in run.stderr
    assert demo.holders() == {}


def test_pages_and_api_know_one_lock(demo, ask):
    before = demo.body(3)
    alice, bob = Editor(demo, "alice"), Editor(demo, "bob")
    form = alice.get("/articles/3/edit/")
    for token, status in ((None, 423), ("0" * 32, 412)):
        refused = ask("PATCH", "3/", "bob", {"body": "By Bob."}, token)
        assert refused.status == status
        assert refused.json["locked_by"] == "Alice Moreau"
        assert refused.json["expires_at"]
        assert form.fields["lock_token"] not in json.dumps(refused.json)
    assert ask("POST", "3/lock/", "bob").status == 403
    listed = ask("GET", "", "bob").json
    holders = {article["id"]: article["lock"]["locked_by"] for article in listed}
    assert holders == {**dict.fromkeys(range(1, 6)), 3: "Alice Moreau"}
    run = run_script("3", "--address", demo.url)
    assert run.returncode == 1
    assert "Alice Moreau has the lock until 20" in run.stderr
    assert demo.body(3) == before
    assert demo.holders() == {3: "alice"}

    alice.post("/articles/3/leave/", form)
    locked = ask("POST", "3/lock/", "alice")
    assert locked.status == 201
    for path in ("/articles/3/edit/", "/articles/3/delete/"):
        refused = bob.get(path)
        assert refused.status == 403
        assert "Alice Moreau is editing this article" in refused.text
    assert "Alice Moreau" in bob.get("/admin/newsroom/article/3/change/").text
    token = locked.json["token"]
    assert ask("DELETE", "3/lock/", "alice", token=token).status == 204
    assert bob.get("/articles/3/edit/").status == 200


def test_api_writes_with_the_lock_alone_and_says_who_wrote(demo, ask):
    for method in ("PATCH", "PUT", "DELETE"):
        assert ask(method, "4/", "bob", {"body": "Unlocked."}).status == 428
    token = ask("POST", "4/lock/", "bob").json["token"]
    assert demo.holders() == {4: "bob"}
    saved = ask("PATCH", "4/", "bob", {"section": "Sport", "body": "By Bob."}, token)
    assert saved.status == 200
    assert saved.json["section"] == "Sport"
    assert saved.json["last_edited_by"] == "bob"
    assert saved.json["lock"]["locked_by"] == "Bob Lindqvist"
    assert saved.json["lock"]["expires_at"] == saved.headers["Lock-Expires-At"]
    assert (demo.body(4), last_editor(demo, 4)) == ("By Bob.", "bob")
    # A form with errors keeps the lock here, too.
    assert ask("PATCH", "4/", "bob", {"section": "None"}, token).status == 400
    assert demo.token(4) == token


def test_api_makes_articles_and_deletes_them_under_their_lock(demo, ask):
    fields = {"section": "Sport", "headline": "New", "body": "Over HTTP."}
    made = ask("POST", "", "carol", fields)
    assert made.status == 201
    number = made.json["id"]
    assert last_editor(demo, number) == "carol"
    token = ask("POST", f"{number}/lock/", "carol").json["token"]
    assert ask("DELETE", f"{number}/", "bob").status == 423
    assert ask("DELETE", f"{number}/", "carol", token=token).status == 204
    assert demo.sql("SELECT 1 FROM newsroom_article WHERE id = ?", number) == []
    assert demo.holders() == {}


def test_api_answers_strangers_in_json(demo, ask):
    before = demo.body(5)
    for method, path in (
        *(("GET", ""), ("POST", ""), ("GET", "5/"), ("PATCH", "5/"), ("DELETE", "5/")),
        *(("GET", "5/lock/"), ("POST", "5/lock/")),
    ):
        for account in (None, "mallory"):
            refused = ask(method, path, account, {"body": "By nobody."})
            assert refused.status == 401
            assert refused.json["detail"]
            assert refused.headers["WWW-Authenticate"].startswith("Basic")
            assert refused.headers["Content-Security-Policy"].startswith("default-src")
    assert demo.body(5) == before
    assert demo.holders() == {}


def test_api_takes_the_sign_in_of_the_pages_with_their_csrf_token(demo, ask):
    alice = Editor(demo, "alice")
    page = alice.get("/articles/5/")
    cookies = alice.cookies()
    assert ask("GET", "5/", Cookie=cookies).status == 200
    refused = ask("POST", "5/lock/", Cookie=cookies)
    assert refused.status == 403
    assert "CSRF" in refused.json["detail"]
    assert demo.holders() == {}
    csrf = {"Cookie": cookies, "X-CSRFToken": page.fields["csrfmiddlewaretoken"]}
    assert ask("POST", "5/lock/", **csrf).status == 201
    assert demo.holders() == {5: "alice"}


def test_api_says_what_is_not_there(ask):
    for path in ("77/", "none/", "77/lock/", "99999999999999999999/"):
        for method in ("GET", "DELETE"):
            assert ask(method, path, "alice").status == 404
