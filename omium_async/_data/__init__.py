"""Users' own data on its way in and out: what JSON can hold, and what it would change."""
