"""What clients and operators ask of the accounts service: one transaction each, entities and events together."""
