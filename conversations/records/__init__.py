"""What people take away, and what tools of an organisation's own read: conversations, messages, tickets."""
