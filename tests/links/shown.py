"""What programs make of a text: links, numbers to dial, markup, mentions. Each function yields what it finds."""

import functools
import html
import html.parser
import ipaddress
import re
import unicodedata

import markdown
import phonenumbers
from linkify_it import LinkifyIt
from linkify_it.tlds import TLDS
from markdown_it import MarkdownIt

# The pages of the console that a mail names, and nothing else of it.
HOST = r"(?:[a-z0-9-]+\.)?console\.aws\.amazon\.com|console\.amazonaws-us-gov\.com|console\.amazonaws\.cn"
UUID = r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
PAGES = rf"cloudtrailv2/home(?:\?region=[a-z0-9-]+)?#/(?:events/{UUID}|trails)|iam/home#/(?:security_credentials|users)|support/home#/"
# The operator's own link, with all that such an address may have.
RUNBOOK = "https://wiki.example.com:8443/space/~root_user/a+b/c%20d?page=1&lang=en#step_1-now"
OURS = re.compile(rf"https://(?:{HOST})/(?:{PAGES})|{re.escape(RUNBOOK)}")
# A service's name, as `eventSource` has it: AWS's host.
SERVICE = re.compile(r"http://[a-z][a-z0-9-]*\.amazonaws\.com(?:\.cn)?")

MASK = re.compile(r"\*{4}(?=[0-9A-Za-z]{3})")

SCHEMES = ["tel", "sms", "callto", "sip", "skype", "facetime", "data", "javascript", "vbscript", "file", "xmpp", "slack", "blob", "cid", "geo"]


def any_scheme(self, text, pos):
    """A scheme and whatever stands behind it."""
    return len(re.match(r"\S*", text[pos:])[0])


LINKIFIER = LinkifyIt({f"{scheme}:": {"validate": any_scheme} for scheme in SCHEMES}, options={"fuzzy_link": True, "fuzzy_email": True, "fuzzy_ip": True})
LINKIFIER.tlds(TLDS)
COMMONMARK = MarkdownIt("gfm-like", {"linkify": True, "html": True})
COMMONMARK.linkify.tlds(TLDS)
COMMONMARK.linkify.set({"fuzzy_link": True, "fuzzy_email": True})
MARKDOWN = [markdown.Markdown(), markdown.Markdown(extensions=["extra", "sane_lists", "wikilinks"])]


def own(url, sources):
    """Whether a link is one of the mail's own: the console, a service's name, the address that the call came from."""
    return bool(OURS.fullmatch(url) or SERVICE.fullmatch(url) or url.removeprefix("http://") in addresses(frozenset(sources)))


@functools.lru_cache(4096)
def addresses(sources):
    """The addresses among these, as they are shown."""
    found = set()
    for source in sources:
        try:
            found.add(str(ipaddress.ip_address(source)))
        except ValueError:
            pass
    return found


def links(text, sources):
    for match in LINKIFIER.match(text) or []:
        if not own(match.url, sources):
            yield "link", match.raw


class Tags(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_comment(self, data):
        self.found.append(("comment", {}))


def tags(text):
    """The elements that Markdown makes, by each program that knows it."""
    # The asterisks of a masked key are ours, and emphasis to Python-Markdown alone: it doesn't look at what is before them.
    unmasked = MASK.sub("", text)
    for render, given in [(COMMONMARK.render, text), *((one.reset().convert, unmasked) for one in MARKDOWN)]:
        parser = Tags()
        parser.feed(render(given))
        yield from parser.found


def markup(text, sources, allowed):
    for tag, attributes in tags(text):
        if tag == "a" and own(attributes.get("href", ""), sources):
            continue
        if tag not in allowed:
            yield "markup", tag, attributes


def dialled(text, phones):
    """Telephone numbers in it that are one of these. An account's id, an address and a UUID are shown as they are."""
    for country in ("US", "JP"):
        for match in phonenumbers.PhoneNumberMatcher(text, country):
            digits = re.sub(r"\D", "", match.raw_string)
            plain = re.fullmatch(r"\d{12}|\d+(\.\d+){3}", match.raw_string)
            if not plain and any(phone in digits for phone in phones):
                yield "telephone number", match.raw_string


# What stands in a mail with these characters, and is ours.
PLAIN = re.compile(rf"{OURS.pattern}|\d\d:\d\d(?::\d\d)?|arn:aws[a-z-]*(?::[a-z0-9-]+){{1,2}}(?::(?:[a-z0-9-]*:)?(?:\d{{12}}|aws)?:)?|rv:\d|sts:AssumeRoot|cloudtrail:LookupEvents")
SLACK = [
    ("emphasis", re.compile(r"(?<![^\W_])([*_~`])(?=\S)(.+?)(?<=\S)\1(?![^\W_])")),
    ("mention", re.compile(r"<[^>\n]*>|(?<![\w\[])@\w|(?<![\w\[])#\w")),
    ("emoji", re.compile(r":[a-z0-9_+'-]+:")),
]


def slack(text, sources):
    """What Slack's own markup would be."""
    text = MASK.sub("", PLAIN.sub("", text))
    for address in addresses(frozenset(sources)):
        text = text.replace(address, "")
    for kind, pattern in SLACK:
        for match in pattern.finditer(text):
            yield kind, match[0]
    if html.unescape(text) != text:
        yield "entity", text


def unprintable(text):
    for c in text:
        if c not in " \n" and unicodedata.category(c)[0] in "CZM":
            yield "character", f"U+{ord(c):04X}"
