"""The meetings service: keeps one online meeting, and its join link, for each session that needs one."""
