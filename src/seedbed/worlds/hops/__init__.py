"""The world of hops: functions that return a constant, and wrappers that call them."""
