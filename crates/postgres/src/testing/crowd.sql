-- An exchange that has been open for half a year, for measuring lists at size: transfers of every
-- kind, state and asset, nearly all of them final, spread unevenly over the users. The same rows on
-- every server, whatever its random numbers are.
--
-- SET bursar.transfers and bursar.users first; VACUUM ANALYZE afterwards, outside of a transaction.
-- The busiest user (number 1) has about a twelfth of all transfers, the least busy half of the users
-- a sixth together.

-- VACUUM marks what it has seen only when that is on its disk for good.
SET synchronous_commit = on;

-- Indexes are made in one go when everything is there.
CREATE TEMPORARY TABLE dropped_indexes AS
    SELECT i.indexrelid::regclass::text AS name, pg_get_indexdef(i.indexrelid) AS definition
    FROM pg_index AS i
    WHERE i.indrelid = 'book_main.transfers'::regclass AND NOT i.indisprimary;
DO $$ DECLARE index record; BEGIN
    FOR index IN SELECT name FROM dropped_indexes LOOP
        EXECUTE 'DROP INDEX ' || index.name;
    END LOOP;
END $$;

-- A number from 0 up to 1 for each n, and another for each salt.
CREATE FUNCTION pg_temp.chance(n bigint, salt bigint) RETURNS float8 LANGUAGE sql IMMUTABLE AS
    $$ SELECT ((hashint8extended(n, salt) >> 11) & 9007199254740991) / 9007199254740992.0::float8 $$;

CREATE FUNCTION pg_temp.user_id(chance float8, users bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS
    $$ SELECT lpad(to_hex(1 + floor(power(chance, 4) * users)::bigint), 32, '0')::uuid $$;

INSERT INTO directory.users
    (id, username, username_fold, email, email_fold, roles, status, updated_at)
SELECT lpad(to_hex(n), 32, '0')::uuid, name, name, name || '@example.com', name || '@example.com',
    '{trader}', 'Active', timestamptz '2026-05-01Z'
FROM (
    SELECT n, 'user' || n AS name
    FROM generate_series(1, current_setting('bursar.users')::bigint) AS n
) AS named;

INSERT INTO book_main.transfers (id, version, kind, state, asset, scale, amount, fee, user_id,
    recipient_id, recipient_typed, code_salt, custom_id, note, callback_url, reason, created_by,
    finished_by, root_asset, root_scale, root_rate, created_at, updated_at, entry_refs)
SELECT n, CASE WHEN kind <> 'deposit' AND is_final THEN 2 ELSE 1 END, kind, state, asset, 8,
    power(10, 2 + 9 * pg_temp.chance(n, 4))::numeric(39, 0), 0, sender,
    CASE WHEN kind = 'internal' AND state <> 'Rejected' THEN recipient END,
    CASE WHEN kind = 'internal' AND state = 'Rejected' THEN 'nobody' || n END,
    CASE kind WHEN 'internal' THEN decode(lpad(to_hex(n), 20, '0'), 'hex') END,
    CASE WHEN kind = 'internal' AND n % 5 > 0 THEN 'order-' || md5(n::text) END,
    'paid for something', NULL,
    CASE state WHEN 'Failed' THEN 'account.frozen' WHEN 'Rejected' THEN 'recipient.unavailable' END,
    'somebody', CASE WHEN kind = 'withdrawal' AND state IN ('Completed', 'Canceled') THEN 'other' END,
    'usd', 2, 1.5, created_at, created_at + CASE WHEN is_final THEN interval '40 ms' ELSE '0' END,
    ARRAY[n, 1]
FROM (
    SELECT *, state NOT IN ('Pending', 'AwaitingConfirmation') AS is_final,
        CASE WHEN recipient_drawn = sender
            THEN lpad(to_hex(users + 1), 32, '0')::uuid ELSE recipient_drawn END AS recipient
    FROM (
        SELECT n, users, kind,
            -- The newest are still on their way.
            CASE kind
                WHEN 'deposit' THEN CASE WHEN age < 400 THEN 'Pending'
                    WHEN luck < 0.002 THEN 'Failed' ELSE 'Completed' END
                WHEN 'withdrawal' THEN CASE WHEN luck < 0.005 OR age < 5000 AND luck < 0.2
                        THEN 'AwaitingConfirmation'
                    WHEN luck < 0.03 THEN 'Canceled' WHEN luck < 0.035 THEN 'Failed'
                    ELSE 'Completed' END
                ELSE CASE WHEN age < 400 THEN 'Pending'
                    WHEN luck < 0.01 THEN 'Rejected' ELSE 'Success' END
            END AS state,
            CASE WHEN of_assets < 0.6 THEN 'usdt' WHEN of_assets < 0.999 THEN 'btc'
                ELSE 'eth' END AS asset,
            pg_temp.user_id(pg_temp.chance(n, 5), users) AS sender,
            pg_temp.user_id(pg_temp.chance(n, 6), users) AS recipient_drawn,
            timestamptz '2026-05-01Z' + n * (interval '184 days' / transfers) AS created_at
        FROM (
            SELECT n, transfers, users, transfers - n AS age,
                pg_temp.chance(n, 2) AS luck, pg_temp.chance(n, 3) AS of_assets,
                CASE WHEN pg_temp.chance(n, 1) < 0.65 THEN 'internal'
                    WHEN pg_temp.chance(n, 1) < 0.95 THEN 'deposit' ELSE 'withdrawal' END AS kind
            FROM (
                SELECT generate_series(1, current_setting('bursar.transfers')::bigint) AS n,
                    current_setting('bursar.transfers')::bigint AS transfers,
                    current_setting('bursar.users')::bigint AS users
            ) AS numbers
        ) AS drawn
    ) AS stated
) AS made;

DO $$ DECLARE index record; BEGIN
    FOR index IN SELECT definition FROM dropped_indexes ORDER BY name LOOP
        EXECUTE index.definition;
    END LOOP;
END $$;
