-- Who gave a callback's URL, and which host it is on: a lane of deliveries. Its secret signs, and
-- deliveries are shared out between lanes. Compared byte by byte, so that the scan from lane to
-- lane does not depend on the database's locale.
--
-- Replicas of the release before write none of these: their callbacks are in the lane ('', '') and
-- the queue. They go by next_attempt_at alone, and so does every claim: is_final and queued decide
-- only what is looked at, and when.
ALTER TABLE book_main.callbacks
    ADD COLUMN subscriber text COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN host text COLLATE "C" NOT NULL DEFAULT '',
    -- Tells a final state: goes first.
    ADD COLUMN is_final boolean NOT NULL DEFAULT true,
    -- Is due and not being tried; what waits for a time is not in the queue.
    ADD COLUMN queued boolean NOT NULL DEFAULT true;

-- What is on its way finds its lane. Hosts are read more exactly by the program, which only means
-- that a host with an odd spelling has a lane of its own until these are delivered.
UPDATE book_main.callbacks AS c
SET subscriber = o.subscriber,
    host = coalesce(left(o.authority, 255) || CASE
        WHEN o.authority ~ ':[0-9]+$' THEN ''
        WHEN c.url ~* '^http:' THEN ':80'
        ELSE ':443'
    END, ''),
    is_final = c.status NOT IN ('Pending', 'AwaitingConfirmation'),
    queued = c.next_attempt_at <= c.created_at
FROM (
    SELECT p.id, lower(substring(p.url FROM '^[^:/]+://([^/?#]+)')) AS authority,
        CASE t.kind
            WHEN 'internal' THEN 'user:' || t.user_id
            ELSE 'client:' || t.created_by
        END AS subscriber
    FROM book_main.callbacks AS p
    JOIN book_main.transfers AS t ON t.id = p.transfer_id
    WHERE p.state = 'pending'
) AS o
WHERE c.id = o.id;

-- What each index serves is told in docs/DATABASE.md.
CREATE INDEX callbacks_queue_idx
    ON book_main.callbacks (subscriber, host, is_final DESC, next_attempt_at)
    WHERE state = 'pending' AND queued;
CREATE INDEX callbacks_waiting_idx
    ON book_main.callbacks (next_attempt_at)
    WHERE state = 'pending' AND NOT queued;
