"""A page as a browser reads it."""

from html.parser import HTMLParser


class Page(HTMLParser):
    """What a browser makes of a page: its text, its tags, and its textareas."""

    def __init__(self, html):
        super().__init__()
        self.tags = []
        self.text = ""
        self.textareas = []
        self.labels = []
        self._in = None
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag == "textarea":
            self.textareas.append("")
        if tag == "label":
            self.labels.append("")
        self._in = tag

    def handle_endtag(self, tag):
        if tag == "textarea" and self.textareas[-1].startswith("\n"):
            # The one newline that the parser of a browser drops.
            self.textareas[-1] = self.textareas[-1][1:]
        self._in = None

    def handle_data(self, data):
        self.text += data
        if self._in == "textarea":
            self.textareas[-1] += data
        if self._in == "label":
            self.labels[-1] += data

    def of(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def page_of(answer):
    return Page(answer.content.decode())
