//! Masking (RFC 6455, section 5.3): clients mask what they send, so that it cannot look like another protocol.

/// Remove a mask, or apply it, which is the same. The first byte of `payload` belongs to the first byte of the mask.
pub(crate) fn apply(payload: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (chunks, rest) = payload.as_chunks_mut::<8>();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_has_its_part_of_the_mask() {
        let mask = [1, 2, 4, 8];
        for length in 0..40_u8 {
            let plain: Vec<u8> = (0..length).collect();
            let expected: Vec<u8> = plain.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
            let mut payload = plain.clone();
            apply(&mut payload, mask);
            assert_eq!(payload, expected);
            apply(&mut payload, mask);
            assert_eq!(payload, plain);
        }
    }
}
