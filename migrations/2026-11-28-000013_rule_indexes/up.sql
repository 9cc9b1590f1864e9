-- By themselves, so that building them keeps nobody from reading. What each index serves is told in
-- docs/DATABASE.md.
CREATE INDEX transfers_expiry_idx ON book_main.transfers (expires_at)
    WHERE expires_at IS NOT NULL AND state IN ('Pending', 'AwaitingConfirmation');
CREATE INDEX transfers_stage_idx ON book_main.transfers (stage, created_at, id)
    WHERE stage IS NOT NULL;
CREATE INDEX transfers_reverses_idx ON book_main.transfers (reverses)
    WHERE reverses IS NOT NULL;
