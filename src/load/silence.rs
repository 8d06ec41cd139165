//! `Silence`: how long a player has got nothing although its stream went on.
//!
//! Invariant: only time in which this tool was awake counts, so a tool that got no CPU time, and
//! could not read, does not blame the server.

/// Watches one player.
#[derive(Debug, Default)]
pub(super) struct Silence {
    /// Something came since the last tick.
    heard: bool,
    /// This silence was told already.
    told: bool,
    waited_us: u64,
    ticked_us: u64,
    /// Messages its stream had sent when the silence began.
    sent: u64,
}

impl Silence {
    /// Bytes came.
    pub(super) fn end(&mut self) {
        self.heard = true;
    }

    /// Time has passed. `sent`: messages its stream has sent so far, if that is known. `true`,
    /// once for each silence: it is longer than `limit_us`.
    pub(super) fn tick(&mut self, now_us: u64, sent: Option<u64>, limit_us: u64) -> bool {
        let passed_us = now_us.saturating_sub(self.ticked_us).min(STEP_US);
        self.ticked_us = now_us;
        if std::mem::take(&mut self.heard) {
            (self.told, self.waited_us) = (false, 0);
            self.sent = sent.unwrap_or(0);
            return false;
        }
        if sent.is_some_and(|sent| sent == self.sent) {
            return false;
        }
        self.waited_us += passed_us;
        self.waited_us > limit_us && !std::mem::replace(&mut self.told, true)
    }
}

/// Ticks come ten times a second. One that comes later than this found the tool asleep.
const STEP_US: u64 = 200_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// Ticks every 100 ms; says at which of them a silence was told.
    fn told(silence: &mut Silence, ticks: u64, sent: impl Fn(u64) -> Option<u64>) -> Vec<u64> {
        let from_us = silence.ticked_us;
        (1..=ticks)
            .filter(|n| silence.tick(from_us + n * 100_000, sent(*n), 300_000))
            .collect()
    }

    #[test]
    fn a_silence_is_told_once_and_again_after_a_word() {
        let mut silence = Silence::default();
        silence.end();
        assert_eq!(told(&mut silence, 12, Some), [5]);
        silence.end();
        assert_eq!(told(&mut silence, 12, Some), [5]);
    }

    #[test]
    fn a_stream_that_is_silent_itself_stalls_nobody() {
        let mut silence = Silence::default();
        silence.end();
        assert!(told(&mut silence, 50, |_| Some(7)).is_empty());
        // Nobody knows what a stranger's stream sends.
        silence.end();
        assert_eq!(told(&mut silence, 12, |_| None), [5]);
    }

    #[test]
    fn a_tool_that_slept_blames_nobody() {
        let mut silence = Silence::default();
        silence.end();
        assert!(!silence.tick(100_000, Some(0), 300_000));
        assert!(!silence.tick(60_000_000, Some(50), 300_000));
        silence.end();
        assert!(!silence.tick(60_100_000, Some(51), 300_000));
    }
}
