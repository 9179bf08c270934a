"""PostgreSQL: pool and transactions, migrations, savepoints."""
