//! A chunk stream as any peer may send it.
//!
//! Input: limits (bit 0), the chunk size of our writers, the stream.
//!
//! Laws: no partial message beyond the budget; messages keep to their limits and hold no more
//! bytes than came; everything is taken when nothing is told; and each message that came out
//! survives both writers and a second reader unchanged.

use corecast::limits::ReaderLimits;
use corecast::rtmp::Error;
use corecast::rtmp::chunk::{ChunkReader, ChunkWriter, Head, write_message};
use corecast::rtmp::message::{Control, Kind, Message};

use super::taker::Taker;

pub fn run(input: &[u8]) {
    let mut taker = Taker::new(input);
    let flags = taker.u8();
    let mut echo = Echo::new(1 + u32::from(taker.u16()));
    let (limits, mut reader) = reader(flags);
    let mut stream = taker.rest;
    let mut payload_bytes = 0;
    let error = loop {
        match reader.read(&mut stream) {
            Ok(Some(message)) => {
                check(&message, &limits);
                payload_bytes += message.body.len();
                assert!(payload_bytes <= input.len());
                echo.send(&message);
                if let Err(error) = obey(&mut reader, &message) {
                    break Some(error);
                }
            }
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
        assert!(reader.partial_bytes() <= limits.partial_bytes_max as usize);
    };
    assert!(reader.partial_bytes() + payload_bytes <= input.len());
    match error {
        None => assert!(stream.is_empty(), "bytes were left without a message"),
        Some(error) => assert!(error.to_string().len() < 200),
    }
}

/// The limits that the flags choose, and a reader with them.
pub fn reader(flags: u8) -> (ReaderLimits, ChunkReader) {
    let limits = if flags & 1 == 0 {
        ReaderLimits::STRANGER
    } else {
        ReaderLimits::PUBLISHER
    };
    (limits, ChunkReader::new(limits))
}

/// Does what a session does when a control message concerns the reader.
pub fn obey(reader: &mut ChunkReader, message: &Message) -> Result<(), Error> {
    match Control::parse(message.kind, message.payload()) {
        Some(Control::SetChunkSize(size)) => reader.set_chunk_size(size)?,
        Some(Control::Abort(csid)) => reader.abort(csid),
        _ => {}
    }
    Ok(())
}

fn check(message: &Message, limits: &ReaderLimits) {
    let max = if message.kind.is_control() {
        64
    } else {
        limits.message_bytes_max as usize
    };
    assert!(message.body.len() <= max);
    assert_eq!(message.body.len(), message.payload().len());
    assert_eq!(Kind::from_wire(message.kind.wire()), message.kind);
}

/// Both writers, and a reader for each.
struct Echo {
    bytes: Vec<u8>,
    chunk_size: u32,
    writer: ChunkWriter,
    readers: [ChunkReader; 2],
}

impl Echo {
    fn new(chunk_size: u32) -> Self {
        let limits = ReaderLimits {
            message_bytes_max: u32::MAX,
            partial_bytes_max: u32::MAX,
            chunk_size_min: 1,
            ..ReaderLimits::PUBLISHER
        };
        let readers = [(); 2].map(|()| {
            let mut reader = ChunkReader::new(limits);
            reader.set_chunk_size(chunk_size).unwrap();
            reader
        });
        Self {
            bytes: Vec::new(),
            chunk_size,
            writer: ChunkWriter::new(chunk_size),
            readers,
        }
    }

    fn send(&mut self, message: &Message) {
        // Control messages would change the second reader; their bodies are nothing special.
        let head = Head {
            csid: 3 + u32::from(message.kind.wire() % 4),
            timestamp: message.timestamp,
            kind: message.kind,
            stream_id: message.stream_id,
        };
        for (which, reader) in self.readers.iter_mut().enumerate() {
            self.bytes.clear();
            let payload = message.payload();
            match which {
                0 => write_message(&mut self.bytes, &head, payload, self.chunk_size),
                _ => self.writer.write_message(&mut self.bytes, &head, payload),
            }
            let mut input = self.bytes.as_slice();
            let back = reader.read(&mut input).unwrap();
            assert_eq!(back.as_ref(), Some(message), "writer {which}");
            assert!(input.is_empty());
            assert_eq!(reader.partial_bytes(), 0);
        }
    }
}
