"""What schemathesis must know about Bursar beside docs/openapi.json; scripts/fuzz-http loads it.

* Formats: values of the string formats that only this service knows.
* Filters: requests that would take the ground from under the run, because they revoke the
  credentials it uses or freeze the users and close the assets whose money it moves; and two
  things that the document cannot say.
* Checks: the two that schemathesis cannot have, because they are about our codes.
* A count of the requests that were sent, for the summary.
"""

import atexit
import hashlib
import hmac
import json
import os
import re
import time
from urllib.parse import urlsplit

import schemathesis
from hypothesis import strategies as st
from requests.auth import AuthBase

COUNT = os.environ["FUZZ_COUNT"]
# Ids of tokens, access keys and users that must stay as they are.
PROTECTED = set(os.environ["FUZZ_PROTECTED"].split())
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
    path, method = case.operation.path, case.method.upper()
    named = {str(value).lower() for value in (case.path_parameters or {}).values()}
    if method in ("PUT", "DELETE") and named & PROTECTED:
        return False
    # The rate may change; closing an asset or changing its name is for others.
    if method == "PUT" and path.startswith("/admin/v1/assets") and named & ASSETS:
        return False
    # To JSON Schema 1.0 is an integer too; Bursar reads the digits.
    if isinstance(case.body, dict) and isinstance(case.body.get("transferId"), float):
        return False
    return not (is_negative(case) and says_nothing(case))


def is_negative(case):
    return case.meta is not None and case.meta.generation.mode.is_negative


def says_nothing(case):
    """An empty parameter is the same as none, so that it is wrong only where one is required."""
    query = case.query if isinstance(case.query, dict) else {}
    return any(value in ("", [""], [], None) for value in query.values())


@schemathesis.hook
def after_call(context, case, response):
    global sent, accepted
    sent += 1
    accepted += response.status_code < 300


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


# What depends on more than the schema of one request can say: the asset's decimals, how many users
# a search finds, which parameters need each other, whether a permission fits the credential.
ALONE = {
    "amount.too_precise",
    "search.too_broad",
    "user_id.missed",
    "owner.invalid",
    "permissions.invalid",
    "username.is_id",
    "address_book_code.mismatch",
}


@schemathesis.check
def what_is_valid_is_accepted(ctx, response, case):
    """A request that follows the document is refused as malformed only for what that cannot say."""
    if response.status_code != 400 or is_negative(case) or case.meta is None:
        return
    problem = json.loads(response.content)
    codes = {error["code"] for error in problem.get("errors", [])} or {problem["code"]}
    assert codes <= ALONE, f"a valid request is refused: {sorted(codes - ALONE)}"


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
