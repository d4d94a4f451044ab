"""Several workers as one node: who starts them, what they may use together, how they are asked as one."""
