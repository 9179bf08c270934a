"""Kafka: the only package that speaks to it, besides the outbox's relay."""

from shared.kafka.batch import Handler, Record, Subscriptions, Tombstone
from shared.kafka.group import Group
from shared.kafka.reading import Place, Reading, reading
from shared.kafka.replay import Replayed, replay
from shared.kafka.table import Tables
from shared.kafka.topics import ensure_topics
