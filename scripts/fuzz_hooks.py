"""What schemathesis must know about Bursar beside docs/openapi.json; scripts/fuzz-http loads it.

* Formats: values of the string formats that only this service knows.
* Filters: two things that the document cannot say; and requests that would take the ground from
  under the run, because they revoke the credentials it uses or freeze the users and close the
  assets whose money it moves, hit somebody else instead.
* Checks: the two that schemathesis cannot have, because they are about our codes.
* A count of the requests that were sent, and of those that were accepted, for the summary: with
  credentials only of what needs them.
"""

import atexit
import hashlib
import hmac
import json
import os
import re
import time
from urllib.parse import parse_qs, unquote, urlsplit

import requests
import schemathesis
from hypothesis import strategies as st
from requests.auth import AuthBase

COUNT = os.environ["FUZZ_COUNT"]
# Ids of tokens, access keys and users that must stay as they are, with and without hyphens.
PROTECTED = {text for id in os.environ["FUZZ_PROTECTED"].split() for text in (id, id.replace("-", ""))}
NOBODY = "99999999-9999-4999-8999-999999999999"
ASSETS = {"btc", "eth", "usd", "usdt"}

sent = 0
accepted = 0


@atexit.register
def tell():
    with open(COUNT, "w", encoding="utf-8") as file:
        file.write(f"{sent} {accepted}\n")


PARTS = st.from_regex(r"[a-zA-Z0-9/._~?=&%+-]{0,40}", fullmatch=True).filter(
    # A `%` begins two hex digits or is none of a URL's.
    lambda part: "%" not in part
)
schemathesis.openapi.format(
    "callback-url", st.just("") | PARTS.map(lambda part: f"https://callbacks.example.com/{part}")
)
schemathesis.openapi.format(
    "ip-range", st.ip_addresses().map(str) | st.ip_addresses(v=4).map(lambda ip: f"{ip}/32")
)
# Cursors come from answers alone; an empty one is none.
schemathesis.openapi.format("cursor", st.just(""))


@schemathesis.hook
def filter_case(context, case):
    return not (is_negative(case) and says_nothing(case))


@schemathesis.hook
def before_call(context, case, **kwargs):
    """Aims elsewhere what would hit the run itself: here, because filters see no sequences."""
    if case.method.upper() not in ("PUT", "DELETE"):
        return
    for name, value in (case.path_parameters or {}).items():
        text = unquote(str(value)).lower()
        # An id has more than one spelling.
        if text in PROTECTED or text.replace("-", "") in PROTECTED:
            case.path_parameters[name] = NOBODY
        # The rate may change; closing an asset is for others.
        elif text in ASSETS and case.operation.path.startswith("/admin/v1/assets"):
            case.path_parameters[name] = "fuzzed"


def is_negative(case):
    return case.meta is not None and case.meta.generation.mode.is_negative


def says_nothing(case):
    """An empty parameter is the same as none, so that it is wrong only where one is required."""
    # So is a body of blanks alone.
    is_blank = isinstance(case.body, bytes) and not case.body.strip()
    query = case.query if isinstance(case.query, dict) else {}
    if is_blank or not query:
        return is_blank
    # What a list or an object comes to is decided where it is written: of neither `[]` nor `[null]`
    # anything is sent, of `[null, ""]` an empty text, of an object the names of its members.
    written = requests.Request("GET", "http://localhost/", params=query).prepare().url
    sent = parse_qs(urlsplit(written).query, keep_blank_values=True)
    return any(sent.get(name, [""]) == [""] for name in query)


@schemathesis.hook
def after_call(context, case, response):
    global sent, accepted
    sent += 1
    accepted += response.status_code < 300 and says_something(case)
    lift_stop(case, response)


def says_something(case):
    """Whether an acceptance says that the credentials are good, if there are any."""
    if os.environ["FUZZ_KIND"] == "none":
        return True
    operation = DOCUMENT["paths"][case.operation.path][case.operation.method.lower()]
    return operation.get("security", DOCUMENT["security"]) != []


def lift_stop(case, response):
    """A stop lasts until the next request at most: behind one nothing else would be tried."""
    stops = case.operation.path.startswith("/admin/v1/stops/")
    if stops and case.method.upper() == "PUT" and response.status_code < 300:
        credentials = {"Authorization": response.request.headers["Authorization"]}
        url = response.request.url.partition("?")[0]
        requests.delete(url, headers=credentials, timeout=10).raise_for_status()


def code_of(response):
    media = response.headers.get("content-type", [""])[0]
    if not media.startswith("application/problem+json"):
        return None
    return json.loads(response.content).get("code")


with open("docs/openapi.json", encoding="utf-8") as text:
    DOCUMENT = json.load(text)
CODES = re.compile(r"`([A-Za-z_]+(?:\.[a-z_]+)*)`")


@schemathesis.check
def code_is_documented(ctx, response, case):
    """Every refusal has a code that the operation lists for its status."""
    code = code_of(response)
    if code is None or code in ("method.not_allowed", "route.unknown"):
        return
    operation = DOCUMENT["paths"][case.operation.path][case.operation.method.lower()]
    said = operation["responses"].get(str(response.status_code), {})
    texts = [said.get("description", "")]
    if "$ref" in said:
        name = said["$ref"].rsplit("/", 1)[1]
        texts.append(DOCUMENT["components"]["responses"][name]["description"])
    known = {code for text in texts for code in CODES.findall(text)}
    assert code in known, f"{response.status_code} {code} is not documented"


# What depends on more than the schema of one request can say: the asset's decimals and those of a
# JSON number, how many users a search finds, which parameters need each other or fit what is in the
# path, whether a permission fits the credential, that two names differ by case alone.
ALONE = {
    "json.duplicate_key",
    "amount.too_precise",
    "rate.too_precise",
    "min_amount.too_precise",
    "max_amount.too_precise",
    "max_amount.below_min",
    "daily.too_precise",
    "daily.not_for_deposits",
    "monthly.too_precise",
    "monthly.not_for_deposits",
    "approval_above.too_precise",
    "approval_above.not_for_internal",
    "min.too_precise",
    "max.too_precise",
    "max.below_min",
    "absolute.too_precise",
    "search.too_broad",
    "user_id.missed",
    "asset.missed",
    "owner.invalid",
    "subject.invalid",
    "permissions.invalid",
    "username.is_id",
    "address_book_code.mismatch",
}


@schemathesis.check
def what_is_valid_is_accepted(ctx, response, case):
    """A request that follows the document is refused as malformed only for what that cannot say."""
    if response.status_code != 400 or is_negative(case) or case.meta is None:
        return
    path, body = case.path_parameters or {}, case.body if isinstance(case.body, dict) else {}
    # What an earlier answer had no value for is no value for a parameter.
    query = case.query if isinstance(case.query, dict) else {}
    if {None, "None"} & {value for value in (*path.values(), *query.values()) if is_plain(value)}:
        return
    problem = json.loads(response.content)
    codes = {error["code"] for error in problem.get("errors", [])} or {problem["code"]}
    alone = ALONE | {f"{name}.invalid" for name, value in body.items() if is_written_whole(value)}
    if isinstance(body.get("percent"), float):
        alone = alone | {"percent.invalid"}  # Its decimals are in the text alone.
    if path.get("asset") == "usd":
        alone = alone | {"rate.invalid"}  # The root asset is always worth 1.
    assert codes <= alone, f"a valid request is refused: {sorted(codes - alone)}"


def is_plain(value):
    return value is None or isinstance(value, str)


def is_written_whole(value):
    """To JSON Schema 1.0 is an integer; Bursar reads the digits."""
    return isinstance(value, float) and value.is_integer()


class Signed(AuthBase):
    """Signs each request by an access key."""

    def __init__(self, name, secret):
        self.name, self.secret = name, secret

    def __call__(self, request):
        body = request.body or b""
        body = body.encode() if isinstance(body, str) else body
        now = str(int(time.time() * 1000))
        path = urlsplit(request.url).path
        signed = self.name.encode() + path.encode() + now.encode() + body
        digest = hmac.new(self.secret.encode(), signed, hashlib.sha256).hexdigest()
        request.headers.update(
            {"X-Access-Key": self.name, "X-Timestamp": now, "X-Signature": digest}
        )
        return request


if os.environ["FUZZ_KIND"] == "key":
    names = ("BURSAR_ALICE_ACCESS_KEY", "BURSAR_ALICE_SECRET_KEY")
    schemathesis.auth.set_from_requests(Signed(*(os.environ[name] for name in names)))
