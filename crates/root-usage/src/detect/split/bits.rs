//! Blocks of 64 bytes, looked at as bits.

use fearless_simd::prelude::*;
use fearless_simd::u8x64;

/// How many bytes are looked at together.
pub(crate) const BLOCK: usize = 64;

/// Where in a block quotation marks and backslashes are, and the letter `u`: one bit for each byte.
pub(crate) struct Marks {
    pub quote: u64,
    pub backslash: u64,
    pub u: u64,
}

impl Marks {
    #[inline(always)]
    pub fn of<S: Simd>(simd: S, block: &[u8; BLOCK]) -> Self {
        let bytes = u8x64::from_slice(simd, block);
        let are = |byte| bytes.simd_eq(u8x64::splat(simd, byte)).to_bitmask();
        Self { quote: are(b'"'), backslash: are(b'\\'), u: are(b'u') }
    }
}

/// Where brackets open, and where they close.
#[inline(always)]
pub fn brackets<S: Simd>(simd: S, block: &[u8; BLOCK]) -> (u64, u64) {
    // `[` and `{` differ in this bit only, and so do `]` and `}`.
    let folded = u8x64::from_slice(simd, block) | u8x64::splat(simd, 0x20);
    let are = |byte| folded.simd_eq(u8x64::splat(simd, byte)).to_bitmask();
    (are(b'{'), are(b'}'))
}
