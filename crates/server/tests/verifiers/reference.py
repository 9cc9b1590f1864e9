"""Says of each callback on standard input whether the reference implementation accepts it."""

import json
import sys

from standardwebhooks import Webhook, WebhookVerificationError


def accepted(case):
    try:
        Webhook(case["secret"]).verify(case["body"], case["headers"])
    except WebhookVerificationError:
        return False
    return True


print(json.dumps([accepted(case) for case in json.load(sys.stdin)]))
