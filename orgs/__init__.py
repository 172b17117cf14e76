"""Who is who on our side: organisations, their people, teams and keys."""
