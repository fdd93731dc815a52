"""What a test can switch in the running site, and the log of what came in.

A rule is a dict: which requests it is about (``path``, with which theirs begins;
``method``; ``leave``, whether they are what a page sends when it is left; ``times``, how
many of them at most), and what becomes of them:

``delay``
    they are kept waiting, so many seconds;
``postpone``
    they are done so many seconds later, as if they had been that long on the way, and
    nobody waits for them;
``late``
    they are done, and their answer takes so many seconds;
``answer``
    they are not done and get this answer, one of ``ANSWERS``, or none: ``close``;
``lose``
    they are done, and their answer is lost;
``date``
    their answer says that the web server's clock is so many seconds ahead.
"""

import json
import socket
import threading
import time

from django.http import HttpResponse, HttpResponseRedirect, JsonResponse
from django.utils.http import http_date

POLICY = "default-src 'self'; script-src 'self'; style-src 'self'"
HTML = "<!DOCTYPE html><title>A page</title><h1>A page</h1>"
ANSWERS = {
    "500": lambda: HttpResponse(HTML, status=500),
    "503": lambda: JsonResponse({"error": "unavailable", "detail": ""}, status=503),
    "401": lambda: HttpResponse(HTML, status=401),
    "403": lambda: HttpResponse(HTML, status=403),
    "404": lambda: HttpResponse(HTML, status=404),
    "405": lambda: HttpResponse(HTML, status=405),
    "501": lambda: HttpResponse(HTML, status=501),
    "502": lambda: HttpResponse(HTML, status=502),
    "not authenticated": lambda: JsonResponse(
        {"error": "not_authenticated", "detail": ""}, status=403
    ),
    "not permitted": lambda: JsonResponse(
        {"error": "permission_denied", "detail": ""}, status=403
    ),
    "redirect": lambda: HttpResponseRedirect("/elsewhere/?sign-in"),
    "page": lambda: HttpResponse(HTML),
}


def content_security_policy(get_response):
    def middleware(request):
        response = get_response(request)
        response["Content-Security-Policy"] = POLICY
        return response

    return middleware


class Switches:
    """The outermost middleware."""

    def __init__(self, get_response):
        self.get_response = get_response
        self.guard = threading.Lock()
        self.log = []
        self.rules = []

    def __call__(self, request):
        if request.path == "/switches/":
            return self.control(request)
        if "Unlogged" in request.headers:
            return self.get_response(request)
        entry = self.enter(request)
        rule = self.find(entry)
        time.sleep(rule.get("delay", 0))
        if rule.get("postpone"):
            seconds = rule["postpone"]
            threading.Timer(seconds, self.later, [request, entry]).start()
            return HttpResponse(status=202)
        if "answer" in rule:
            answer = ANSWERS.get(rule["answer"], HttpResponse)()
            lost = rule["answer"] == "close"
        else:
            answer = self.get_response(request)
            lost = "lose" in rule
        if "date" in rule:
            answer["Date"] = http_date(time.time() + rule["date"])
        self.leave(entry, answer)
        time.sleep(rule.get("late", 0))
        if lost:
            request.environ["connection"].shutdown(socket.SHUT_RDWR)
        return answer

    def control(self, request):
        """Take the rules, or give the log."""
        if request.method == "POST":
            with self.guard:
                self.rules = json.loads(request.body)
        with self.guard:
            return JsonResponse({"log": self.log, "rules": self.rules})

    def enter(self, request):
        try:
            body = json.loads(request.body or "null")
        except ValueError:
            body = None
        entry = {
            "at": time.time(),
            "method": request.method,
            "path": request.get_full_path(),
            "leave": (request.method == "PATCH" or request.GET.get("do") == "renew")
            and bool(body and body.get("timeout") == 5),
            "body": body,
            "headers": dict(request.headers),
            "status": None,  # not done yet
            "done": None,
        }
        with self.guard:
            self.log.append(entry)
        return entry

    def find(self, entry):
        with self.guard:
            for rule in self.rules:
                if (
                    entry["path"].startswith(rule.get("path", "/"))
                    and rule.get("method") in (None, entry["method"])
                    and rule.get("leave") in (None, entry["leave"])
                    and rule.get("times") != 0
                ):
                    if "times" in rule:
                        rule["times"] -= 1
                    return rule
        return {}

    def later(self, request, entry):
        answer = self.get_response(request)
        self.leave(entry, answer)
        answer.close()  # and the database connection of this thread with it

    def leave(self, entry, answer):
        with self.guard:
            entry["status"] = answer.status_code
            entry["done"] = time.time()
