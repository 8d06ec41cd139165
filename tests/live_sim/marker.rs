//! `Marker`: the last 20 bytes of each simulated payload say which one it is.
//!
//! Invariant: a payload is `codec header | filler | marker`; the filler follows from the marker, so
//! a byte that is lost or swapped on the way is seen.

/// What a payload is. One slot for each order that must be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marker {
    /// The publication; 0 for a config: the next publication's may be the same.
    pub run: u64,
    /// Number in its slot, from 0; 0 for a config.
    pub seq: u32,
    /// The encoder's settings, and version of the config that it needs, or that it is.
    pub setup: u16,
    pub version: u16,
    /// Version of the metadata sent last, 0 for none.
    pub metadata: u8,
    pub slot: Slot,
    pub part: Part,
    /// Playing may start here, by PROTOCOL G-02, G-05, G-06.
    pub join: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    Video = 0,
    SecondVideo = 1,
    Audio = 2,
    Data = 3,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Config,
    Frame,
    /// Passes, but nothing depends on it: end of sequence, cue point.
    Other,
}

impl Marker {
    pub const LEN: usize = 20;

    /// Appends `filler` bytes and the marker.
    pub fn write(&self, filler: usize, out: &mut Vec<u8>) {
        let start = self.filler();
        out.extend((0..filler).map(|i| start.wrapping_add(i as u8)));
        out.extend_from_slice(b"CSim");
        out.extend_from_slice(&(self.run as u32).to_be_bytes());
        out.extend_from_slice(&self.seq.to_be_bytes());
        out.extend_from_slice(&self.version.to_be_bytes());
        out.push(self.slot as u8);
        out.push(self.part as u8);
        out.push(u8::from(self.join));
        out.extend_from_slice(&self.setup.to_be_bytes());
        out.push(self.metadata);
    }

    /// Reads the marker at the end of `body`, and checks the filler of a frame.
    pub fn read(body: &[u8]) -> Self {
        let (filler, mark) = body.split_at(body.len() - Self::LEN);
        assert_eq!(
            &mark[..4],
            b"CSim",
            "no marker at the end of {} bytes",
            body.len()
        );
        let number = |at: usize| u32::from_be_bytes(mark[at..at + 4].try_into().unwrap());
        let slots = [Slot::Video, Slot::SecondVideo, Slot::Audio, Slot::Data];
        let marker = Self {
            run: u64::from(number(4)),
            seq: number(8),
            version: u16::from_be_bytes([mark[12], mark[13]]),
            setup: u16::from_be_bytes([mark[17], mark[18]]),
            metadata: mark[19],
            slot: slots[usize::from(mark[14])],
            part: [Part::Config, Part::Frame, Part::Other][usize::from(mark[15])],
            join: mark[16] == 1,
        };
        if marker.part == Part::Frame {
            let start = marker.filler();
            let intact = filler
                .iter()
                .enumerate()
                .all(|(i, b)| *b == start.wrapping_add(i as u8));
            assert!(intact, "the bytes of {marker:?} were changed");
        }
        marker
    }

    fn filler(&self) -> u8 {
        (self.seq as u8).wrapping_mul(31) ^ self.slot as u8
    }
}
