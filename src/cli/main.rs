//! The `root-usage` command.

fn main() {}
