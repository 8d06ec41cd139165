//! `ByteQueue`: bytes owed to one peer, in order.
//!
//! Invariant: its memory follows what is owed at the time, not what ever passed: a peer that
//! takes bytes just slower than it asks for them would otherwise own all answers it ever got.

/// Bytes on their way to one socket. See the module head.
#[derive(Debug, Default)]
pub(super) struct ByteQueue {
    bytes: Vec<u8>,
    /// 0 ≤ sent ≤ bytes.len()
    sent: usize,
}

impl ByteQueue {
    /// What is owed.
    pub(super) fn rest(&self) -> &[u8] {
        self.bytes.get(self.sent..).unwrap_or_default()
    }

    pub(super) fn len(&self) -> usize {
        self.rest().len()
    }

    /// The end of the queue, for whoever writes behind it.
    pub(super) fn tail(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Moves all of `more` behind what is owed.
    pub(super) fn append(&mut self, more: &mut Vec<u8>) {
        if self.bytes.is_empty() {
            std::mem::swap(&mut self.bytes, more);
        } else {
            self.bytes.append(more);
        }
    }

    /// The socket took up to `written` bytes of it. Returns how many of them were not owed.
    pub(super) fn advance(&mut self, written: usize) -> usize {
        let taken = written.min(self.len());
        self.sent += taken;
        if self.sent == self.bytes.len() {
            self.sent = 0;
            self.bytes.clear();
            // Neither the handshake's 3 KiB nor a burst of headers may pin its memory for the life
            // of the connection.
            if self.bytes.capacity() > EMPTY_BYTES_MAX {
                self.bytes = Vec::new();
            }
        } else if self.sent > SENT_BYTES_MAX && self.sent >= self.len() {
            // At least as much goes as is moved.
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
        written - taken
    }
}

/// Memory an empty queue keeps: a ping or a status fits.
const EMPTY_BYTES_MAX: usize = 256;

/// Sent bytes that a queue does not bother to move away.
const SENT_BYTES_MAX: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_out_is_what_went_in() {
        let (mut queue, mut seen, mut next) = (ByteQueue::default(), Vec::new(), 0_u32);
        for round in 0..2_000_usize {
            let mut more: Vec<u8> = Vec::new();
            for _ in 0..round * 7 % 50 {
                more.extend(next.to_be_bytes());
                next += 1;
            }
            queue.append(&mut more);
            let room = round * 13 % 120;
            let taken = room.min(queue.len());
            seen.extend_from_slice(&queue.rest()[..taken]);
            assert_eq!(queue.advance(room), room - taken);
        }
        seen.extend_from_slice(queue.rest());
        let all: Vec<u8> = (0..next).flat_map(u32::to_be_bytes).collect();
        assert_eq!(seen, all);
    }

    #[test]
    fn a_queue_that_never_runs_empty_does_not_grow() {
        let mut queue = ByteQueue::default();
        queue.append(&mut vec![0; 50_000]);
        for _ in 0..1_000 {
            queue.append(&mut vec![0; 1_000]);
            queue.advance(1_000);
        }
        assert_eq!(queue.len(), 50_000);
        let held = queue.bytes.capacity();
        assert!(held <= 256 << 10, "{held} bytes for 50,000 owed");
    }

    #[test]
    fn an_empty_queue_gives_back_a_burst() {
        let mut queue = ByteQueue::default();
        queue.append(&mut vec![0; 100_000]);
        queue.advance(100_000);
        assert!(queue.len() == 0 && queue.bytes.capacity() <= EMPTY_BYTES_MAX);
    }
}
