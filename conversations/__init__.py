"""What was said: accepting, answering, transcripts, tickets."""
