"""Makes users with a token and money each, through the admin and back-office APIs.

Usage: bench_users.py COUNT FILE, with the demo's environment. Writes lines of `id<TAB>token`.
"""

import http.client
import json
import os
import sys
import uuid
from urllib.parse import urlsplit

count, path = int(sys.argv[1]), sys.argv[2]
connection = http.client.HTTPConnection(urlsplit(os.environ["BURSAR_URL"]).netloc)


def call(method, url, token, body):
    headers = {
        "Authorization": f"Bearer {os.environ[token]}",
        "Content-Type": "application/json",
        "Prefer": "wait",
    }
    connection.request(method, url, json.dumps(body), headers)
    answer = connection.getresponse()
    text = answer.read()
    if answer.status != 200:
        sys.exit(f"{method} {url}: {answer.status} {text.decode()}")
    return json.loads(text)


with open(path, "w", encoding="utf-8") as users:
    for number in range(count):
        user = str(uuid.uuid5(uuid.NAMESPACE_URL, f"bench-{number}"))
        profile = {"username": f"bench-{number}", "email": "", "roles": [], "status": "Active"}
        call("PUT", f"/admin/v1/users/{user}", "BURSAR_ADMIN_TOKEN", profile)
        token = {
            "subject": f"bench-{number}",
            "user_id": user,
            "permissions": ["allow_transfer"],
            "ttl_seconds": 86400,
        }
        issued = call("POST", "/admin/v1/tokens", "BURSAR_ADMIN_TOKEN", token)
        for asset in ("usdt", "eth"):
            money = {"userId": user, "assetId": asset, "amount": "1000000"}
            call("POST", "/back-api/backoffice/transfers/deposit", "BURSAR_BACKOFFICE_TOKEN", money)
        users.write(f"{user}\t{issued['token']}\n")
