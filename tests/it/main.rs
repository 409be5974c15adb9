//! The tests of the whole server, in one binary so that it is linked once.
//!
//! Each file is about one thing; above its `mod` stands when to add to it.

/// The private PostgreSQL: who may run it, where it is kept, how it starts, stops and survives.
mod cluster;
