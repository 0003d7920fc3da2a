"""What is done while a source is silent."""
