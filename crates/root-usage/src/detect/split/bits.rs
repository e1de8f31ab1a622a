//! Blocks of 64 bytes, looked at as bits: where quotation marks, backslashes, brackets and the letter `u` are.

use fearless_simd::prelude::*;
use fearless_simd::u8x64;

/// How many bytes are looked at together.
pub const BLOCK: usize = 64;

/// One bit for each byte of a block.
pub struct Bits {
    pub quote: u64,
    pub backslash: u64,
    pub open: u64,
    pub close: u64,
    pub u: u64,
}

impl Bits {
    #[inline(always)]
    pub fn of<S: Simd>(simd: S, block: &[u8; BLOCK]) -> Self {
        let bytes = u8x64::from_slice(simd, block);
        // `[` and `{` differ in this bit only, and so do `]` and `}`.
        let folded = bytes | u8x64::splat(simd, 0x20);
        Self {
            quote: bytes.simd_eq(u8x64::splat(simd, b'"')).to_bitmask(),
            backslash: bytes.simd_eq(u8x64::splat(simd, b'\\')).to_bitmask(),
            open: folded.simd_eq(u8x64::splat(simd, b'{')).to_bitmask(),
            close: folded.simd_eq(u8x64::splat(simd, b'}')).to_bitmask(),
            u: bytes.simd_eq(u8x64::splat(simd, b'u')).to_bitmask(),
        }
    }
}
