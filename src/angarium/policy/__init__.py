"""MAY THEY, AND HOW? The operator's configuration and code, and the decisions that follow from them."""
