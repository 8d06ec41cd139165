//! Bit strings, and the codec configuration records that are made of them.
//!
//! Every record here is valid: a parser that reads sizes out of it finds `WIDTH` × `HEIGHT`.

/// Width of all test pictures, in pixels.
pub const WIDTH: u32 = 640;
/// Height of all test pictures, in pixels.
pub const HEIGHT: u32 = 480;

/// Bits, most significant first.
#[derive(Default)]
pub struct Bits {
    bytes: Vec<u8>,
    used: u32,
}

impl Bits {
    /// Appends the low `count` bits of `value`.
    pub fn put(mut self, value: u64, count: u32) -> Self {
        for bit in (0..count).rev() {
            if self.used.is_multiple_of(8) {
                self.bytes.push(0);
            }
            let last = self.bytes.last_mut().expect("a byte was pushed");
            *last |= (((value >> bit) & 1) as u8) << (7 - self.used % 8);
            self.used += 1;
        }
        self
    }

    /// Appends an unsigned Exp-Golomb number.
    pub fn ue(self, value: u32) -> Self {
        let plus = u64::from(value) + 1;
        let length = 64 - plus.leading_zeros();
        self.put(0, length - 1).put(plus, length)
    }

    /// Ends with a one and zeros up to the byte's border.
    pub fn end(self) -> Vec<u8> {
        self.put(1, 1).bytes
    }
}

/// AVCDecoderConfigurationRecord: Constrained Baseline 3.0, one SPS, one PPS, 4-byte lengths.
pub fn avcc() -> Vec<u8> {
    let sps = escaped(
        &[0x67, 66, 0xC0, 30], // NAL head, profile, constraint flags, level
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
    let mut out = vec![1, 66, 0xC0, 30, 0xFF, 0xE1];
    out.extend(sized(&sps));
    out.push(1);
    out.extend(sized(&pps));
    out
}

/// HEVCDecoderConfigurationRecord: Main 3.1, one VPS, SPS and PPS, 4-byte lengths.
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
    let sps = escaped(
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
    );
    let pps = escaped(
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
    );
    let mut out = vec![1, 0x01, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 93];
    out.extend([0xF0, 0x00, 0xFC, 0xFD, 0xF8, 0xF8, 0, 0, 0x0F, 3]);
    for (kind, nal) in [(32_u8, vps), (33, sps), (34, pps)] {
        out.extend([0x80 | kind, 0, 1]);
        out.extend(sized(&nal));
    }
    out
}

/// AV1CodecConfigurationRecord: Main 3.0 with its sequence header.
pub fn av1c() -> Vec<u8> {
    let sequence = Bits::default()
        .put(0, 3) // profile
        .put(0, 2) // moving, full header
        .put(0, 2) // no timing, no display delay
        .put(0, 5) // one operating point
        .put(0, 12)
        .put(4, 5) // level 3.0
        .put(9, 4) // 10 bits of width
        .put(9, 4) // 10 bits of height
        .put(u64::from(WIDTH - 1), 10)
        .put(u64::from(HEIGHT - 1), 10)
        .put(0, 9) // frame ids, block size and tools off
        .put(0b11, 2) // screen content and integer vectors chosen per frame
        .put(0, 3) // superres, CDEF, restoration off
        .put(0, 7) // 8 bits, colour unspecified, 4:2:0
        .put(0, 1) // no film grain
        .end();
    let mut out = vec![0x81, 0x04, 0x0C, 0x00, 0x0A, sequence.len() as u8];
    out.extend(sequence);
    out
}

/// Opus ID header: stereo, pre-skip 312, 48 kHz.
pub fn opus_head() -> Vec<u8> {
    let mut out = b"OpusHead".to_vec();
    out.extend([1, 2, 0x38, 0x01, 0x80, 0xBB, 0, 0, 0, 0, 0]);
    out
}

/// AudioSpecificConfig: AAC-LC, 44.1 kHz, stereo.
pub const ASC: [u8; 2] = [0x12, 0x10];

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

fn sized(nal: &[u8]) -> Vec<u8> {
    let mut out = (nal.len() as u16).to_be_bytes().to_vec();
    out.extend_from_slice(nal);
    out
}
