"""Tables, migrations, one repository a subject, jobs and caches. Everything below is SQLAlchemy on SQLite or PostgreSQL."""
