"""What somebody writes into a record who wants a link, a call, a mention or markup in the mail about it."""

import base64
import gzip
import json
import pathlib
import random
import uuid

from linkify_it.tlds import TLDS

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Telephone numbers that their countries' plans know, with libphonenumber's name of a country in which they are valid.
PHONES = [
    "+1 (800) 555-0199", "(800) 555-0199", "1-800-555-0199", "18005550199", "8005550199", "800.555.0199", "800 555 0199",
    "+18005550199", "800 / 555 / 0199", "800[555]0199", "1 800-555-0199 ext. 5", "800-555-0199x5", "2012022020",
    "03-1234-5678", "0120-828-828", "0120828828", "0120\u30fc828\u30fc828", "090-1234-5678", "+81312345678",
    "+81 3-1234-5678", "(03) 1234-5678", "03.1234.5678", "03-20120203", "\uff10120-828-828", "0120\u2212828\u2212828",
]  # fmt: skip

LINKS = [
    "https://evil.example/x?y=1#z", "HTTPS://EVIL.EXAMPLE", "http://evil", "http: //203.0.113.9/x", "//evil.example", "//localhost:80/x",
    "///etc/passwd", "\\\\203.0.113.9\\share", "\\\\evil\\x", "file:///etc/passwd", "ftp://evil.example", "ftp.evil.example", "www.evil.example", "www.1x",
    "203.0.113.9", "203.0.113.9:8443/x", "203.0.113.9/login", "1203.0.113.9", "[2001:db8::7]:80/x", "http://[2001:db8::7]/", "http://3405803785/",
    "localhost/x", "user:secret@evil.example", "me@evil.example", "me@evil", "mailto:me@evil.example", "mailto:x", "xmpp:me@evil.example",
    "data:text/html,x", "javascript:alert(1)", "vbscript:x", "tel:110", "sms:110", "sip:x", "skype:x?call", "callto:x", "facetime:x", "slack://x",
    "evil\u3002jp", "evil\uff0ecom", "evil\uff61com", "例え.jp", "例え。jp", "例え.テスト", "xn--r8jz45g.xn--zckzah", "пример.рф", "évil.fr",
    "evil.com.", "evil.com:443", "evil.com/x", "evil-.com", "a.b.evil.zip", "Client.com", "Server.dev", "Client.ComPany", "x.amazonaws.com", "x.s3.amazonaws.com",
    "iam.amazonaws.com.evil.example", "amazonaws.com", "evil.console.aws.amazon.com", "https://console.aws.amazon.com/evil", "console.aws.amazon.com/evil",
    "arn:aws:https://203.0.113.9/login", "arn:aws:tel:18005550199", "arn:aws:tel::111122223333:x", "arn:aws:iam::111122223333://evil.example",
    "arn:aws:iam::111122223333:user/evil.example", "arn:aws:https:::x", "arn:aws:mailto::111122223333:me@evil.example", "arn:aws:iam:evil.com:111122223333:x",
]  # fmt: skip

MARKUP = [
    "[x](https://evil.example)", "[x](y)", "![x](y)", "[x] (y)", "[[x]]", "[x][y]", "[x]: y", "[^1]", "x:(y)", "x.y](z)", "<b>x</b>", "<a href=x>y</a>", "<img src=x>",
    "<https://evil.example>", "<https://evil.example|AWS>", "<!here>", "<!channel>", "<@U0123>", "<#C0123|general>", "<at>x</at>", "<!-- x -->", "<x@y.z>", "<script>",
    "@here", "@channel", "@everyone", " @x", "#general", " #general", "#1", "# x", "> x", "- x", "+ x", "* x", "1. x", "1) x", "=====", "-----", "***", "| a | b |", "||x||",
    "*", "**", "*x*", "**x**", "***x***", "_", "__", "_x_", "__x__", "_x", "x_", "~", "~x~", "~~x~~", "`", "``", "`x`", "```", "\\", "\\*", "\\[", ":smile:", ":100:", "::",
    "&lt;", "&#46;", "&#x2e;", "&period;", "&amp;lt;", "&lt", "{: .x}", "{#x}", "$x$", "==x==", "^x^", "(c)", "****MPLE", "AKIAIOSFODNN7EXAMPLE", "xAKIAIOSFODNN7EXAMPLE",
]  # fmt: skip

GLUE = [
    "", "", "", " ", " ", "  ", ".", ":", "/", "//", "-", "_", "*", "(", ")", "[", "]", "<", ">", "|", "@", "#", "&", ";", ",", "'", '"', "!", "=", "+", "~", "`", "\\", "%", "{", "}",
    "\n", "\r\n", "\t", "\0", "\x1b[2J", "\u0085", "\u00a0", "\u00ad", "\u200b", "\u200f", "\u202e", "\u2028", "\u2066", "\u3000", "\u3164", "\ufeff", "\U000e0041", "\u0301",
    "a", "x", "e", "A", "0", "1", "7", "com", "東京", "ー", "が", "、", "（", "é", "٣", "１", "²", "Ⅷ", "ﬁ", "٫",
    "  Outcome   succeeded", "CRITICAL. ", "-- ", "  - ", "  Note: ", "  結果          成功", "arn:aws:", "arn:aws:iam::111122223333:", "rv:", " rv:", "****", "AKIA",
]  # fmt: skip

# Values as records have them. All of them are shown as they are.
ORDINARY = {
    "agent": [
        "aws-cli/2.15.0 md/Botocore#1.34.0 md/arch#x86_64 os/linux#6.1.94-99.176 lang/python#3.13.9 cfg/retry-mode#standard",
        "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.7444.60 Safari/537.36",
        "[aws-sdk-java/1.12.750 Linux/5.10.216-204.855 OpenJDK_64-Bit_Server_VM/17.0.11+9-LTS]",
    ],
    "message": ["Failed authentication", "User is not authorized to perform this action with an explicit deny"],
    "code": ["AccessDenied", "Client.UnauthorizedOperation", "ThrottlingException"],
    "name": ["audit", "backup-operator", "role_with_names", "logs-111122223333-us-east-1-2026-11-20", "東京"],
    "arn": ["arn:aws:iam::111122223333:role/service-role/a_b", "arn:aws:iam::aws:policy/AdministratorAccess", "arn:aws:iam::111122223333:root"],
    "source": ["203.0.113.7", "2001:db8::7", "198.51.100.77", "cloudformation.amazonaws.com", "AWS Internal"],
    "region": ["us-east-1", "ap-northeast-1", "us-gov-west-1", "cn-north-1"],
    "account": ["111122223333", "444455556666"],
    "key": ["ASIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"],
    "group": ["/aws/lambda/x_y", "cloudtrail/management-events"],
    "stream": ["111122223333_CloudTrail_us-east-1", "2026/11/20/[$LATEST]0123456789abcdef0123456789abcdef"],
    "addendum": ["UPDATED_DATA", "DELIVERY_DELAY"],
}


def actions():
    """The calls whose parameters are shown: service, event name, the parameters' names."""
    rows = []
    for line in (ROOT / "crates/root-usage/templates/actions.tsv").read_text().splitlines():
        if line and not line.startswith("#"):
            service, name, *_, parameters = line.split("\t")
            # A row about root's own credentials is about the same event.
            rows.append((service, name.removesuffix("@root"), [parameter for parameter in parameters.split(",") if parameter]))
    return rows


ACTIONS = actions()


class Writer:
    """Makes events up, the same for the same seed. `hostile=False` makes them of ordinary values only."""

    def __init__(self, seed, hostile=True):
        self.random = random.Random(seed)
        self.hostile = hostile
        # Of an event, what stands plain as an address.
        self.sources = set()

    def piece(self):
        kind = self.random.random()
        if kind < 0.25:
            return self.random.choice(LINKS)
        if kind < 0.4:
            return self.random.choice(PHONES)
        if kind < 0.65:
            return self.random.choice(MARKUP)
        if kind < 0.75:
            return "evil." + self.random.choice(TLDS).lower()
        if kind < 0.8:
            return chr(self.random.randrange(0x20, 0x3100))
        return self.random.choice(GLUE)

    def text(self, ordinary):
        """Pieces one after the other, or one inside an ordinary value."""
        if self.random.random() < 0.3:
            value = self.random.choice(ordinary)
            at = self.random.randrange(len(value) + 1)
            return value[:at] + self.piece() + value[at:]
        parts = []
        for _ in range(self.random.choice([1, 1, 1, 2, 3, 6])):
            parts += [self.piece(), self.random.choice(GLUE)]
        return "".join(parts[:-1]) * self.random.choice([1, 1, 1, 1, 1, 1, 20])

    def value(self, kind, chance=0.6):
        """A value of a field; now and then the field says nothing."""
        if not self.hostile:
            return self.random.choice(ORDINARY[kind])
        if self.random.random() < 0.05:
            return None
        if self.random.random() < chance:
            return self.text(ORDINARY[kind])
        return self.random.choice(ORDINARY[kind])

    def account_name(self):
        """A name that the function's own list can hold: the same is done with what AWS Organizations answers."""
        while True:
            text = "".join(c for c in self.text(["payments-prod", "Sandbox (EU)"]) if " " <= c <= "~" and c not in ',"\\')
            if text := text[:50].strip():
                return text

    def uuid(self):
        digits = "0123456789" if self.random.random() < 0.2 else "0123456789abcdef"
        text = "".join(self.random.choice(digits) for _ in range(32))
        return "-".join([text[:8], text[8:12], text[12:16], text[16:20], text[20:]])

    def event_id(self):
        if not self.hostile or self.random.random() < 0.7:
            return self.uuid()
        return self.random.choice(["1-800-555-0199-1-800-555-0199-abcdef00", "18005550199", self.text([self.uuid()])])

    def record(self, when):
        hostile = self.hostile and self.random.random() < 0.4
        service, name, parameters = self.random.choice(ACTIONS)
        source = self.value("source", 0.3)
        if source:
            self.sources.add(source.strip())
        identity = {
            "type": "Root" if self.random.random() < 0.7 else self.value("name", 0.3) or "IAMUser",
            "principalId": self.value("name"),
            "arn": self.value("arn"),
            "accountId": self.value("account", 0.3),
            "accessKeyId": self.value("key", 0.3),
            "userName": self.value("name"),
            "sessionContext": {"attributes": {"creationDate": when, "mfaAuthenticated": "false"}, "sessionIssuer": {"arn": self.value("arn"), "userName": self.value("name")}},
        }
        if not self.random.randrange(4):
            del identity["sessionContext"]
        record = {
            "eventVersion": "1.11",
            "userIdentity": identity,
            "eventTime": when,
            "eventSource": self.text([f"{service}.amazonaws.com"]) if hostile else f"{service}.amazonaws.com",
            "eventName": self.text([name]) if hostile and self.random.random() < 0.7 else name,
            "awsRegion": self.value("region", 0.2),
            "sourceIPAddress": source,
            "userAgent": self.value("agent"),
            "eventID": self.event_id(),
            "recipientAccountId": self.value("account", 0.3),
            "requestParameters": {parameter: self.value("arn" if "rn" in parameter else "name") for parameter in parameters},
            "readOnly": self.random.random() < 0.2,
        }
        if self.random.random() < 0.3:
            record |= {"errorCode": self.value("code"), "errorMessage": self.value("message")}
        if self.random.random() < 0.1:
            record["eventName"], record["eventSource"] = "ConsoleLogin", "signin.amazonaws.com"
            record["responseElements"] = {"ConsoleLogin": self.random.choice(["Success", "Failure"])}
        if self.random.random() < 0.1:
            record["addendum"] = {"reason": self.value("addendum")}
        if self.random.random() < 0.1:
            record |= {"vpcEndpointId": self.value("name"), "vpcEndpointAccountId": self.value("account")}
        return record

    def time(self):
        return f"2026-11-20T01:{self.random.randrange(60):02}:{self.random.randrange(60):02}Z"

    def log_data(self, messages):
        """What CloudWatch Logs hands over, the log group itself somebody's choice too."""
        owner, group, stream = self.value("account", 0.3), self.value("group"), self.value("stream")
        events = [{"id": self.text(["1"]) if self.hostile else f"{index:056}", "timestamp": 1_795_136_400_000, "message": message} for index, message in enumerate(messages)]
        return {"messageType": "DATA_MESSAGE", "owner": owner, "logGroup": group, "logStream": stream, "subscriptionFilters": ["x"], "logEvents": events}

    def event(self):
        """A raw Lambda event, and the addresses that its mail may name as they are."""
        self.sources = set()
        messages = [json.dumps(self.record(self.time())) for _ in range(self.random.choice([1, 1, 2, 4]))]
        if not self.random.randrange(5):
            messages.append('{"userIdentity":{"type":"Root"},"x":' + (self.text(["1"]) if self.hostile else "1"))
        return raw(self.log_data(messages)), self.sources

    def damaged(self):
        """A raw Lambda event that ends before its log events do."""
        text = json.dumps(self.log_data(["Root"]))
        return {"awslogs": {"data": base64.b64encode(gzip.compress(text[: text.index('"logEvents"') + 20].encode())).decode()}}

    def history(self, count):
        """An event history of the same time, one record a line, and the addresses in it."""
        self.sources = set()
        records = [self.record(f"2026-11-20T00:{index % 60:02}:00Z") for index in range(count)]
        for record in records:
            record["userIdentity"] |= {"type": "Root", "accessKeyId": self.random.choice(ORDINARY["key"])}
            record["awsRegion"] = self.random.choice(ORDINARY["region"])
        return "".join(json.dumps(record) + "\n" for record in records), self.sources


def again(event):
    """The same records once more, ten minutes later and with ids of their own."""
    data = json.loads(gzip.decompress(base64.b64decode(event["awslogs"]["data"])))
    for log_event in data["logEvents"]:
        log_event["timestamp"] += 600_000
        try:
            record = json.loads(log_event["message"])
        except ValueError:
            continue
        record["eventID"] = str(uuid.uuid5(uuid.NAMESPACE_URL, log_event["message"]))
        log_event["message"] = json.dumps(record)
    return data


def raw(data):
    return {"awslogs": {"data": base64.b64encode(gzip.compress(json.dumps(data).encode())).decode()}}
