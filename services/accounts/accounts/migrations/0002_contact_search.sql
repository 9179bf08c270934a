-- Contacts have the parts of their names and tags, and are found by the beginnings of words. Which
-- fields tell an upsert that a contact exists is set for each location.

ALTER TABLE location
    ADD COLUMN contact_duplicates_by text[] NOT NULL DEFAULT '{email,phone}';

ALTER TABLE contact
    ADD COLUMN first_name text   NOT NULL DEFAULT '',
    ADD COLUMN last_name  text   NOT NULL DEFAULT '',
    ADD COLUMN tags       text[] NOT NULL DEFAULT '{}';

UPDATE contact
   SET first_name = split_part(btrim(name), ' ', 1),
       last_name = btrim(substr(btrim(name), length(split_part(btrim(name), ' ', 1)) + 1));

-- The keys are made by the service: folded words, and `=` before a whole address or number. They are
-- ordered by bytes, so that the words with one beginning are one range; the account comes first, so
-- that a search reads its own account's keys alone.
CREATE TABLE contact_search_key (
    account_id uuid NOT NULL,
    key        text COLLATE "C" NOT NULL,
    contact_id uuid NOT NULL,
    PRIMARY KEY (account_id, key, contact_id),
    FOREIGN KEY (account_id, contact_id) REFERENCES contact (account_id, id) ON DELETE CASCADE
);
CREATE INDEX contact_search_key_contact ON contact_search_key (account_id, contact_id, key);

-- For contacts from before: their accents are only folded when they are changed.
INSERT INTO contact_search_key (account_id, key, contact_id)
SELECT DISTINCT account_id, left(key, 300), id
  FROM contact,
       LATERAL (SELECT regexp_split_to_table(lower(name), '\s+')
                UNION SELECT lower(email) UNION SELECT '=' || lower(email)
                UNION SELECT regexp_replace(phone, '[^0-9]', '', 'g')
                UNION SELECT '=' || regexp_replace(phone, '[^0-9]', '', 'g')) AS keys (key)
 WHERE key NOT IN ('', '=');
