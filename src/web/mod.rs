//! HTTP furniture that every room shares.

pub mod pages;
