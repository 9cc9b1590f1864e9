-- Who gave a callback's URL: its secret signs, and deliveries are shared out between subscribers
-- and hosts. Replicas of the release before write neither; then the subscriber follows from the
-- transfer and the host from the URL.
ALTER TABLE book_main.callbacks
    ADD COLUMN subscriber text NOT NULL DEFAULT '';
