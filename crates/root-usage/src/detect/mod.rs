//! From bytes to what the rules match: records are told apart, searched, and only then parsed and compared. The function
//! and `root-usage scan` read with this.

pub(crate) mod prefilter;
pub mod reading;
pub mod split;
