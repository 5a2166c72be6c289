"""Users: agents whose users give feedback that some of them let be gamed."""
