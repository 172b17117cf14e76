"""What leaves by the outbox: e-mails and signed webhooks, each sent once an attempt, by whoever holds its lease."""
