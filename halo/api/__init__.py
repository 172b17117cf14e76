"""What every HTTP endpoint shares: the strict parser, the error body, the request id. Knows no noun."""
