"""What a consumer's noxfile calls."""
