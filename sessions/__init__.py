"""Who is on the site: end users, companies, sessions and what they did."""
