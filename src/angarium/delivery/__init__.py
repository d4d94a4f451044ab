"""THE YARD: next hops, connections to them, and what their replies mean."""
