//! What must be true once nothing is under way: the second half of `World`.

use corecast::live::End;

use super::marker::Slot;
use super::world::World;

impl World {
    /// Lets everything arrive, then sees that every player of a live stream is up to date.
    pub fn settle(&mut self) {
        self.trace.note(|| "settle".to_owned(), &[]);
        self.net.room.fill(usize::MAX);
        self.deliver_all();
        for at in 0..self.players.len() {
            self.pause(at, false);
            self.receive(at, Some(true), Some(true));
        }
        self.flush_all();
        for at in 0..self.publishers.len() {
            let messages = self.publishers[at].encoder.refresh(&mut self.dice);
            for _ in 0..messages {
                self.now = self.now + 1;
                self.send(at);
                self.deliver_all();
                self.flush_all();
            }
        }
        self.check();
        self.expect_up_to_date();
    }

    fn expect_up_to_date(&self) {
        for (place, publisher) in self.publishers.iter().enumerate() {
            let others = self.publishers.iter().skip(place + 1);
            assert!(
                others.clone().all(|p| p.name != publisher.name),
                "one publisher a name"
            );
            for player in self
                .players
                .iter()
                .filter(|player| player.name == publisher.name)
            {
                let stream = self.workers[player.id.conn.worker.index()].stream(player.stream);
                if stream.is_some_and(|stream| stream.is_ended()) {
                    continue;
                }
                assert!(
                    player.cursor.is_some(),
                    "{:?} waits for a live stream",
                    player.id
                );
                let run = publisher.run.0;
                let expect = |slot| publisher.encoder.last(slot).map(|seq| (run, seq));
                let audio = player.viewer.last(Slot::Audio);
                assert_eq!(audio, expect(Slot::Audio), "last audio of {:?}", player.id);
                if player.takes.video_of(publisher.encoder.style) {
                    let video = player.viewer.last(Slot::Video);
                    assert_eq!(video, expect(Slot::Video), "last video of {:?}", player.id);
                }
            }
        }
    }

    /// Ends everything, and sees that nothing is left.
    pub fn finish(&mut self) {
        self.settle();
        while !self.publishers.is_empty() {
            let end = if self.dice.chance(50) {
                End::Clean
            } else {
                End::Lost
            };
            self.end_publisher(0, end);
        }
        self.deliver_all();
        self.flush_all();
        self.now = self.now + self.settings.grace_ms.max(self.settings.play_wait_ms) + 1;
        self.tick();
        self.deliver_all();
        self.flush_all();
        if let Some(player) = self.players.first() {
            panic!("{:?} of stream {} was forgotten", player.id, player.name);
        }
        self.now = self.now + self.settings.linger_ms + 1;
        self.tick();
        self.deliver_all();
        self.check();
        for (place, live) in self.workers.iter().enumerate() {
            assert!(
                live.is_empty(),
                "worker {place} keeps {} streams",
                live.len()
            );
        }
        assert!(
            self.directory.is_empty(),
            "the directory keeps {}",
            self.directory.len()
        );
        for tally in &self.tallies {
            assert_eq!(tally.players(), 0, "players counted when all have left");
        }
    }

    fn deliver_all(&mut self) {
        let mut rounds = 0;
        loop {
            let pairs = self.net.pairs();
            if pairs.is_empty() {
                return;
            }
            let (from, to) = self.dice.pick(&pairs);
            self.deliver(from, to, 1_000);
            rounds += 1;
            assert!(rounds < 1_000, "mail without end");
        }
    }

    fn flush_all(&mut self) {
        self.now = self.now + self.settings.merge_ms;
        for place in 0..self.workers.len() {
            self.wake(place);
        }
        let mut at = 0;
        while at < self.players.len() {
            if !self.flush(at, usize::MAX) {
                at += 1;
            }
        }
    }
}
