-- What the console reads beside transfers, for measuring its pages at size: volumes by the hour, a
-- callback for every tenth transfer and a row of the audit log for as many. crowd.sql goes before.

-- What an hour of the last month is like, every hour up to now: what the overview reads.
INSERT INTO book_main.hourly_volumes (hour, asset, kind, count, amount)
SELECT hour, asset, kind, 1 + hour_number % 977, 1000 + hour_number * 31
FROM (
    SELECT date_trunc('hour', now()) - n * interval '1 hour' AS hour, n AS hour_number
    FROM generate_series(0, 30 * 24) AS n
) AS hours
CROSS JOIN (VALUES ('usdt'), ('btc'), ('eth')) AS assets (asset)
CROSS JOIN (VALUES ('deposit'), ('withdrawal'), ('internal')) AS kinds (kind)
ON CONFLICT DO NOTHING;

-- One of a thousand was given up; nothing is due, for it would be sent.
INSERT INTO book_main.callbacks (id, transfer_id, operation, url, url_digest, status, state, attempts,
    created_at, subscriber, host, queued)
SELECT lpad(to_hex(n), 32, '0')::uuid, n, 'create', 'https://example.com/' || host, '\x00', 'Completed',
    CASE WHEN n % 10000 = 0 THEN 'dead' ELSE 'succeeded' END, 1,
    now() - (current_setting('bursar.transfers')::bigint - n) * interval '0.3 s', 'client:bench',
    'h' || host || '.example.com:443', false
FROM (
    SELECT n, n / 10 % 40 AS host
    FROM generate_series(10, current_setting('bursar.transfers')::bigint, 10) AS n
) AS numbers;
INSERT INTO book_main.callback_attempts (callback_id, attempt, at, duration_ms, http_status, outcome)
SELECT id, 1, created_at, 12, 200, 'succeeded' FROM book_main.callbacks;

INSERT INTO book_main.audit_log (id, at, actor, credential, request_id, address, action, target,
    before, after)
SELECT lpad(to_hex(n), 32, '0')::uuid,
    now() - (current_setting('bursar.transfers')::bigint - n) * interval '0.3 s',
    'operator' || n / 10 % 20, 'session', 'bench-' || n, '127.0.0.1', 'withdrawal.confirm',
    'transfer:' || n, '{"status":"AwaitingConfirmation"}', '{"status":"Completed"}'
FROM generate_series(10, current_setting('bursar.transfers')::bigint, 10) AS n;

-- The transfer that is looked at has its two lines.
INSERT INTO book_main.accounts (id, owner_kind, owner, asset, available, held, seq, status, stamped_at)
SELECT 1000000000 + side, 'user', CASE side WHEN 0 THEN user_id ELSE recipient_id END, asset,
    CASE side WHEN 0 THEN 0 ELSE amount END, 0, 1, 'Active', created_at
FROM book_main.transfers, (VALUES (0), (1)) AS sides (side)
WHERE id = 500000;
INSERT INTO book_main.entries (account_id, seq, transfer_id, available_delta, held_delta,
    available_after, held_after, created_at)
SELECT 1000000000 + side, 1, id, CASE side WHEN 0 THEN -amount ELSE amount END, 0,
    CASE side WHEN 0 THEN 0 ELSE amount END, 0, created_at
FROM book_main.transfers, (VALUES (0), (1)) AS sides (side)
WHERE id = 500000;
UPDATE book_main.transfers SET entry_refs = '{1000000000, 1, 1000000001, 1}' WHERE id = 500000;
