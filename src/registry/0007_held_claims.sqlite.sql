-- Which start of the daemon has still to decide about a call that a webhook has offered: a random number of that start. NULL: what was
-- decided has been carried out. A call that an earlier start holds was cut off before its decision.
ALTER TABLE claims ADD COLUMN holder BIGINT;
CREATE INDEX claims_held ON claims (holder) WHERE holder IS NOT NULL;
