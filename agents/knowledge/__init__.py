"""What an organisation knows: articles, their passages, and the search over them."""
