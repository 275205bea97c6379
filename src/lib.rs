//! newt-pipe
