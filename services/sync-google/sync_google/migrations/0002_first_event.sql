-- Which connection may use the first id of an appointment's events in a Google calendar, the id that
-- gives the event the UID of the appointment's mails. Of several connections that lead to one Google
-- calendar, one: an id is accepted once.
CREATE TABLE first_event (
    account_id      uuid NOT NULL,
    event_id        text NOT NULL,
    google_calendar text NOT NULL,
    connection_id   uuid NOT NULL,
    PRIMARY KEY (event_id, google_calendar)
);
CREATE INDEX first_event_connection ON first_event (account_id, connection_id);
