"""What sites and servers tell of people, companies and events."""
