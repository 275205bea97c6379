//! warm
fn main() { }
