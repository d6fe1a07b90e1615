"""Tables, migrations, one repository a subject, jobs and caches, on SQLite or PostgreSQL through SQLAlchemy."""
