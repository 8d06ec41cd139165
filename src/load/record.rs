//! The codec configuration records of the streams that this tool makes itself.
//!
//! Invariant: every record is valid: a parser reads 1280 × 720 (H.264, HEVC) and 48 kHz stereo
//! (AAC) out of it. ISO 14496-15 §5.3, §8.3; ISO 14496-3 §1.6.

/// AVCDecoderConfigurationRecord: Constrained Baseline 3.1, one SPS, one PPS, 4-byte lengths.
#[must_use]
pub fn avcc() -> Vec<u8> {
    let sps = escaped(
        &[0x67, 66, 0xC0, 31], // NAL head, profile, constraint flags, level
        Bits::default()
            .ue(0) // id
            .ue(0) // log2_max_frame_num - 4
            .ue(2) // picture order count type
            .ue(1) // reference frames
            .put(0, 1) // no gaps in frame numbers
            .ue(WIDTH / 16 - 1)
            .ue(HEIGHT / 16 - 1)
            .put(0b1100, 4) // frames only, direct 8x8, no cropping, no VUI
            .end(),
    );
    let pps = escaped(
        &[0x68],
        Bits::default()
            .ue(0) // id
            .ue(0) // SPS id
            .put(0, 2) // CAVLC, no bottom field order
            .ue(0) // one slice group
            .ue(0) // one reference, list 0
            .ue(0) // and list 1
            .put(0, 3) // no weighting
            .put(0b111, 3) // QP, QS and chroma offsets 0
            .put(0, 3) // no deblocking control, unconstrained, no redundant pictures
            .end(),
    );
    let mut out = vec![1, 66, 0xC0, 31, 0xFF, 0xE1];
    put_sized(&mut out, &sps);
    out.push(1);
    put_sized(&mut out, &pps);
    out
}

/// HEVCDecoderConfigurationRecord: Main 3.1, one VPS, SPS and PPS, 4-byte lengths.
#[must_use]
pub fn hvcc() -> Vec<u8> {
    let vps = escaped(
        &[0x40, 0x01],
        profile_tier_level(Bits::default().put(0x0C01, 16).put(0xFFFF, 16))
            .put(1, 1) // ordering info for each layer
            .ue(1)
            .ue(0)
            .ue(0)
            .put(0, 6) // highest layer
            .ue(0) // one layer set
            .put(0, 2) // no timing, no extension
            .end(),
    );
    let mut out = vec![1, 0x01, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 93];
    out.extend([0xF0, 0x00, 0xFC, 0xFD, 0xF8, 0xF8, 0, 0, 0x0F, 3]);
    for (kind, nal) in [(32_u8, vps), (33, hevc_sps()), (34, hevc_pps())] {
        out.extend([0x80 | kind, 0, 1]);
        put_sized(&mut out, &nal);
    }
    out
}

/// AudioSpecificConfig: AAC-LC, 48 kHz, stereo.
pub const ASC: [u8; 2] = [0x11, 0x90];
/// Width of the pictures, in pixels.
pub const WIDTH: u32 = 1_280;
/// Height of the pictures, in pixels.
pub const HEIGHT: u32 = 720;

/// Bits, most significant first.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    used: u32,
}

impl Bits {
    /// Appends the low `count` bits of `value`.
    fn put(mut self, value: u64, count: u32) -> Self {
        for bit in (0..count).rev() {
            if self.used.is_multiple_of(8) {
                self.bytes.push(0);
            }
            if let Some(last) = self.bytes.last_mut()
                && (value >> bit) & 1 == 1
            {
                *last |= 0x80 >> (self.used % 8);
            }
            self.used += 1;
        }
        self
    }

    /// Appends an unsigned Exp-Golomb number.
    fn ue(self, value: u32) -> Self {
        let plus = u64::from(value) + 1;
        let length = u64::BITS - plus.leading_zeros();
        self.put(0, length - 1).put(plus, length)
    }

    /// Ends with a one and zeros up to the byte's border.
    fn end(self) -> Vec<u8> {
        self.put(1, 1).bytes
    }
}

fn hevc_sps() -> Vec<u8> {
    escaped(
        &[0x42, 0x01],
        profile_tier_level(Bits::default().put(0b0000_0001, 8))
            .ue(0) // id
            .ue(1) // 4:2:0
            .ue(WIDTH)
            .ue(HEIGHT)
            .put(0, 1) // no conformance window
            .ue(0) // 8 bits luma
            .ue(0) // 8 bits chroma
            .ue(4) // log2 of the order count - 4
            .put(1, 1)
            .ue(1)
            .ue(0)
            .ue(0)
            .ue(0) // smallest coding block 8
            .ue(3) // largest 64
            .ue(0) // smallest transform block 4
            .ue(3) // largest 32
            .ue(0)
            .ue(0)
            .put(0, 4) // no scaling lists, AMP, SAO, PCM
            .ue(0) // no short-term reference sets
            .put(0, 5) // no long-term ones, no MVP, no smoothing, no VUI, no extension
            .end(),
    )
}

fn hevc_pps() -> Vec<u8> {
    escaped(
        &[0x44, 0x01],
        Bits::default()
            .ue(0)
            .ue(0)
            .put(0, 7)
            .ue(0)
            .ue(0)
            .put(0b1, 1) // QP 26
            .put(0, 3)
            .ue(0)
            .ue(0)
            .put(0, 10)
            .ue(0)
            .put(0, 2)
            .end(),
    )
}

fn profile_tier_level(bits: Bits) -> Bits {
    bits.put(1, 8) // Main
        .put(0x6000_0000, 32)
        .put(0x9, 4)
        .put(0, 44)
        .put(93, 8) // level 3.1
}

/// Puts 03 behind each pair of zeros that a byte below 4 follows.
fn escaped(head: &[u8], body: Vec<u8>) -> Vec<u8> {
    let mut out = head.to_vec();
    for byte in body {
        if byte < 4 && out.ends_with(&[0, 0]) {
            out.push(3);
        }
        out.push(byte);
    }
    out
}

fn put_sized(out: &mut Vec<u8>, nal: &[u8]) {
    out.extend_from_slice(&u16::try_from(nal.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(nal);
}
