//! What players do by chance, and what their host does for them: the third part of `World`.

use corecast::config::GopCache;
use corecast::ids::PlayerId;
use corecast::live::{Joined, Taken};
use corecast::rtmp::chunk::write_control;
use corecast::rtmp::message::{Control, UserControl};

use super::dice::Dice;
use super::player::{Player, Takes};
use super::viewer::Viewer;
use super::world::World;

impl World {
    pub fn play(&mut self) {
        if self.players.len() >= 16 {
            return;
        }
        let conn = self.connect();
        let place = conn.worker.index();
        let id = PlayerId {
            conn,
            stream_id: self.dice.pick(&[1, 1, 1, 2, 70_000]),
        };
        let name = self.dice.below(self.names.len());
        let title = self.names[name].clone();
        let takes = [Takes::Forward, Takes::Strict, Takes::All, Takes::Named];
        let takes = self.dice.pick(&takes);
        let result = self.with(place, |live, now, out| live.play(&title, id, now, out));
        let numbers = [
            u64::from(conn.index),
            u64::from(matches!(result, Ok(Joined::Now(..)))),
        ];
        self.trace
            .note(|| format!("play {title} w{place} {takes:?}"), &numbers);
        let (stream, cursor) = match result {
            Ok(Joined::Now(stream, cursor)) => (stream, Some(cursor)),
            Ok(Joined::Waiting(stream)) => (stream, None),
            Err(taken) => {
                assert!(matches!(taken, Taken::TooMany { max } if self.directory.len() >= max));
                return;
            }
        };
        self.note_tally(place, stream);
        self.players.push(Player {
            id,
            name,
            stream,
            ready: cursor.is_some(),
            cursor,
            taste: takes.taste(),
            takes,
            control: Vec::new(),
            viewer: Viewer::new(id.stream_id, self.settings.chunk_size),
            paused: false,
            audio: true,
            video: true,
        });
    }

    pub fn leave_some(&mut self) {
        if !self.players.is_empty() {
            let at = self.dice.below(self.players.len());
            self.leave(at);
        }
    }

    pub fn leave(&mut self, at: usize) {
        let player = self.players.swap_remove(at);
        self.trace.note(
            || format!("leave {:?}", player.id),
            &[player.viewer.messages],
        );
        let (stream, id) = (player.stream, player.id);
        self.with(id.conn.worker.index(), |live, now, _| {
            live.leave(stream, id, now)
        });
    }

    pub fn some_flush(&mut self) {
        if self.players.is_empty() {
            return;
        }
        let at = self.dice.below(self.players.len());
        let budget = match self.dice.below(6) {
            0 => self.dice.between(0, 40) as usize,
            1 => self.dice.between(0, 400) as usize,
            2 => self.dice.between(0, 4_000) as usize,
            _ => usize::MAX,
        };
        self.flush(at, budget);
    }

    /// Flushes one player; `true` when it is over and was taken away.
    pub fn flush(&mut self, at: usize, budget: usize) -> bool {
        let player = &mut self.players[at];
        if !player.ready {
            return false;
        }
        let place = player.id.conn.worker.index();
        // Mail was shed: there are holes in its log. Or: a still picture, then the live edge.
        let still = self.settings.gop_cache == GopCache::Key;
        let shed = self.net.shed[place] > 0;
        player.viewer.holes = shed || still;
        player.viewer.mp3 = self.mp3.then_some(shed);
        let id = player.id;
        self.trace.note(
            || format!("flush {}#{}", id.conn, id.stream_id),
            &[budget as u64],
        );
        let flushed = player.flush(&self.workers[place], self.lag, self.now, budget);
        let numbers = [flushed.bytes as u64, flushed.lost, player.viewer.messages];
        self.trace.note(|| "     flushed".to_owned(), &numbers);
        if flushed.over {
            self.leave(at);
        }
        flushed.over
    }

    pub fn pause_some(&mut self) {
        if self.players.is_empty() {
            return;
        }
        let at = self.dice.below(self.players.len());
        let paused = !self.players[at].paused;
        self.pause(at, paused);
    }

    pub fn pause(&mut self, at: usize, paused: bool) {
        let player = &mut self.players[at];
        let place = player.id.conn.worker.index();
        let Some(cursor) = &mut player.cursor else {
            return;
        };
        if player.paused == paused {
            return;
        }
        player.paused = paused;
        player.ready = true;
        self.trace
            .note(|| format!("pause {paused} {:?}", player.id), &[]);
        if !paused {
            let stream = self.workers[place].stream(player.stream).expect("it plays");
            player.viewer.restart(cursor.is_mid_frame());
            cursor.rejoin(stream.log(), self.settings.gop_cache);
        }
    }

    pub fn receive_some(&mut self) {
        if self.players.is_empty() {
            return;
        }
        let at = self.dice.below(self.players.len());
        let flip = |dice: &mut Dice| dice.chance(40).then(|| dice.chance(50));
        let (audio, video) = (flip(&mut self.dice), flip(&mut self.dice));
        self.receive(at, audio, video);
    }

    pub fn receive(&mut self, at: usize, audio: Option<bool>, video: Option<bool>) {
        let player = &mut self.players[at];
        let Some(cursor) = &mut player.cursor else {
            return;
        };
        self.trace.note(
            || format!("receive {audio:?} {video:?} {:?}", player.id),
            &[],
        );
        if video == Some(true) && !player.video {
            player.viewer.restart(cursor.is_mid_frame());
        }
        player.viewer.excuse();
        cursor.receive(audio, video);
        player.audio = audio.unwrap_or(player.audio);
        player.video = video.unwrap_or(player.video);
        player.ready = true;
    }

    /// Something else that goes out on the connection, such as a ping.
    pub fn ping_some(&mut self) {
        let at = self.dice.below(self.players.len());
        if let Some(player) = self.players.get_mut(at) {
            let ping = Control::User(UserControl::PingRequest(7));
            write_control(&mut player.control, &ping);
            player.ready = true;
        }
    }
}
