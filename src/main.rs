//! The `passmint` program; everything is in the library.

fn main() {}
