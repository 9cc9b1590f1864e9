-- A constraint that was looked at cannot be made unseen, and nothing needs it to be.
SELECT 1;
