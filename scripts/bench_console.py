"""Measures the console's pages one after the other, as scripts/bench-lists has prepared them.

Usage: bench_console.py FOLDER SECONDS PROGRAM, with the demo's environment.
"""

import http.client
import os
import re
import subprocess
import sys
import urllib.parse

folder, seconds, program = sys.argv[1:]
GOAL_MS, GOAL_KIB = 200, 100
address = urllib.parse.urlsplit(os.environ["BURSAR_URL"]).netloc


def ask(method, path, headers=None, body=None):
    connection = http.client.HTTPConnection(address)
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    return answer, answer.read()


def cookie_of(answer):
    return answer.getheader("Set-Cookie").split(";")[0]


def sign_in():
    """The cookie of a session of the demo's operator."""
    answer, page = ask("GET", "/console/sign-in")
    form = cookie_of(answer)
    csrf = re.search(r'name="csrf" value="([^"]+)"', page.decode()).group(1)
    codes = subprocess.run([program, "demo", "--code", "--directory", os.path.join(folder, "demo")],
                           check=True, capture_output=True, text=True).stdout
    fields = {"csrf": csrf, "name": "demo", "password": os.environ["BURSAR_CONSOLE_PASSWORD"],
              "code": re.search(r"demo\D+(\d{6})", codes).group(1)}
    headers = {"Cookie": form, "Origin": os.environ["BURSAR_URL"],
               "Content-Type": "application/x-www-form-urlencoded"}
    answer, page = ask("POST", "/console/sign-in", headers, urllib.parse.urlencode(fields))
    if answer.status != 303:
        sys.exit(f"nobody was signed in: {answer.status} {page.decode()}")
    return next(value.split(";")[0] for name, value in answer.getheaders()
                if name.lower() == "set-cookie" and "session" in value)


def measure(what, path):
    """One reader, one page at a time: what somebody waits for who looks at it."""
    answer, page = ask("GET", path, {"Cookie": cookie})
    if answer.status != 200:
        sys.exit(f"{path}: {answer.status}")
    requests = os.path.join(folder, "requests.tsv")
    with open(requests, "w", encoding="utf-8") as lines:
        lines.write(f"Cookie\t{cookie}\t{path}\n")
    wrk = ["wrk", "--threads", "1", "--connections", "1", "--duration", f"{seconds}s", "--latency",
           "--script", "scripts/bench_lists.lua", os.environ["BURSAR_URL"]]
    out = subprocess.run(wrk, env=dict(os.environ, BENCH_REQUESTS=requests), check=True,
                         capture_output=True, text=True).stdout
    result = next(line for line in out.splitlines() if line.startswith("RESULT"))
    _, count, failed, p50, p99, worst = result.split()
    kib = len(page) / 1024
    verdict = "" if float(p99) < GOAL_MS else f"  over {GOAL_MS} ms"
    verdict += "" if kib < GOAL_KIB else f"  over {GOAL_KIB} KiB"
    print(f"{what:<44}{count:>8}{failed:>7}{p50:>9}{p99:>9}{worst:>9}{kib:>7.1f}{verdict}", flush=True)


def second_page(path):
    """Where a page's own link to the next one leads."""
    _, page = ask("GET", path, {"Cookie": cookie})
    found = re.search(r'href="([^"]+)"[^>]*rel="next"|rel="next"[^>]*href="([^"]+)"', page.decode())
    if not found:
        sys.exit(f"{path} has no next page")
    return (found.group(1) or found.group(2)).replace("&amp;", "&")


cookie = sign_in()
user = "00000000-0000-0000-0000-000000000001"
transfers = "/console/transfers?"
print(f"{'1 reader':<44}{'requests':>8}{'failed':>7}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}{'KiB':>7}")
for what, path in [
    ("overview, 24 hours", "/console"),
    ("overview, 30 days", "/console?period=month"),
    ("queue, oldest first", "/console/queue"),
    ("queue, by value", "/console/queue?sort=value"),
    ("queue, of one asset", "/console/queue?asset=btc"),
    ("queue, approvals", "/console/queue?work=approvals"),
    ("transfers", transfers),
    ("transfers, the next page", second_page("/console/transfers")),
    ("transfers, 200 rows", transfers + "rows=200"),
    ("transfers, by id", transfers + "q=500000"),
    ("transfers, by custom id", transfers + "q=order-c4ca4238a0b923820dcc509a6f75849b"),
    ("transfers, by a user's name", transfers + "q=user1999"),
    ("transfers, by a user's email", transfers + "q=user1999%40example.com"),
    ("transfers, by a part of many names", transfers + "q=user1234"),
    ("transfers, by a part that nobody has", transfers + "q=nobody-of-this-name"),
    ("transfers, by an amount", transfers + "q=0.25+btc"),
    ("transfers, by amounts of an asset", transfers + "asset=btc&min=1&max=1.1"),
    ("transfers, by amounts of a rare asset", transfers + "asset=eth&min=1&max=1.0001"),
    ("transfers, rejected", transfers + "status=rejected"),
    ("transfers, withdrawals of a day", transfers + "kind=withdrawal&from=2026-08-01&to=2026-08-01"),
    ("transfers, of the busiest user", transfers + "user=" + user),
    ("transfers, of a user and an asset", transfers + "asset=eth&user=" + user),
    ("a transfer", "/console/transfers/500000"),
    ("users", "/console/users"),
    ("users, by a part of many names", "/console/users?q=user1234"),
    ("users, by two letters", "/console/users?q=er"),
    ("users, by a part that nobody has", "/console/users?q=nobody-of-this-name"),
    ("the busiest user", "/console/users/" + user),
    ("callbacks, dead", "/console/callbacks"),
    ("callbacks, all", "/console/callbacks?state=all"),
    ("audit", "/console/audit"),
    ("audit, of an operator", "/console/audit?actor=operator7"),
    ("audit, of an action", "/console/audit?action=withdrawal.confirm"),
    ("rules", "/console/rules"),
    ("integrity", "/console/integrity"),
]:
    measure(what, path)
