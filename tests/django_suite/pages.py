"""What a browser sends besides what a test posts: our hidden fields in the page."""

import re
from html.parser import HTMLParser
from urllib.parse import urlsplit

from django.urls import Resolver404, resolve

PAGES = ("_change", "_delete", "_changelist")
IN_ADDRESS = ("_popup", "_to_field")
SHOWN_ROW = re.compile(r"initial-(form-\d+-)(\w+)")


def hidden_fields(client, path, data, options):
    """Open the page that ``data`` is posted from; return our fields in it."""
    if not is_page_of_admin(path):
        return {}
    query = {name: data[name] for name in IN_ADDRESS if name in data}
    options = {name: options[name] for name in ("headers", "secure") if name in options}
    page = client.get(path, None if urlsplit(path).query else query, **options)
    if page.status_code != 200 or page.streaming:
        return {}
    parser = Inputs()
    parser.feed(page.content.decode())
    sent = shown_rows(parser.inputs, data)
    if "lock_token" in parser.inputs:
        sent["lock_token"] = parser.inputs["lock_token"]
    return sent


def is_page_of_admin(path):
    try:
        name = resolve(urlsplit(path).path).url_name or ""
    except Resolver404:
        return False
    return name.endswith(PAGES)


def shown_rows(inputs, data):
    """Return what a list shows of the rows in ``data``, which may be in another order."""
    found = {}
    for name, value in inputs.items():
        if match := SHOWN_ROW.fullmatch(name):
            row, key = match.groups()
            found[key, inputs[row + key]] = value
    keys = {key for key, _ in found}
    return {
        f"initial-{name}": found[key, str(value)]
        for name, value in data.items()
        if (key := name.split("-")[-1]) in keys and (key, str(value)) in found
    }


class Inputs(HTMLParser):
    def __init__(self):
        super().__init__()
        self.inputs = {}

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag == "input" and attributes.get("name"):
            self.inputs[attributes["name"]] = attributes.get("value") or ""
