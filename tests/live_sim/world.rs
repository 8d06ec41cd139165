//! `World`: workers, mail, encoders and players of one simulation, and what chance does to them.
//!
//! Invariant: everything follows from the seed. After each step the workers touched are checked,
//! and every player's far end has insisted on its own rules (`viewer`).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use corecast::config::{GopCache, OnDuplicate};
use corecast::ids::{ConnId, PlayerId, Run, StreamName, StreamRef, WorkerId};
use corecast::live::{
    Directory, Effect, End, LagLimits, Live, LogLimits, Policy, Settings, Taken, Tally,
};
use corecast::time::Millis;

use super::dice::Dice;
use super::encoder::{Encoder, Style};
use super::net::{Net, Outbox};
use super::player::Player;

/// See the module head.
pub struct World {
    pub dice: Dice,
    pub now: Millis,
    pub workers: Vec<Live>,
    pub directory: Arc<Directory>,
    pub net: Net,
    pub publishers: Vec<Publisher>,
    pub players: Vec<Player>,
    pub settings: Settings,
    pub policy: Policy,
    pub tallies: Vec<Arc<Tally>>,
    pub trace: Trace,
    pub lag: LagLimits,
    pub names: Vec<StreamName>,
    holders: HashMap<usize, Holder>,
    /// The settings of every encoder so far, and the stream it was for.
    setups: Vec<(usize, Style)>,
    /// Sound without configs may come.
    pub mp3: bool,
    touched: u64,
    /// When each worker wants to be asked for news.
    due: Vec<Millis>,
    last_conn: u32,
    weights: [usize; ACTIONS],
}

/// A publisher's connection on a worker.
pub struct Publisher {
    pub conn: ConnId,
    pub name: usize,
    pub stream: StreamRef,
    pub run: Run,
    pub encoder: Encoder,
}

/// Who has a name, as this test sees it.
#[derive(Clone, Copy)]
struct Holder {
    run: Run,
    peer: IpAddr,
    /// The last media that surely counted, and the last that may have.
    heard: (Millis, Millis),
}

/// What happened: a hash of it, and the words when somebody reads them.
pub struct Trace {
    pub hash: u64,
    pub steps: u64,
    pub loud: bool,
}

impl Trace {
    pub fn note(&mut self, words: impl FnOnce() -> String, numbers: &[u64]) {
        for number in numbers {
            self.hash = (self.hash ^ number)
                .wrapping_mul(0x0000_0100_0000_01B3)
                .rotate_left(17);
        }
        if self.loud {
            println!("{:5} {} {numbers:?}", self.steps, words());
        }
    }
}

impl World {
    pub fn new(seed: u64, loud: bool) -> Self {
        let mut dice = Dice::new(seed);
        let count = dice.between(1, 4) as usize;
        let settings = settings(&mut dice);
        let policies = [
            OnDuplicate::SameSource,
            OnDuplicate::Reject,
            OnDuplicate::Replace,
            OnDuplicate::ReplaceIfIdle,
        ];
        let policy = Policy {
            on_duplicate: dice.pick(&policies),
            takeover_ms: dice.pick(&[100, 5_000]),
            streams_max: dice.pick(&[1, 100, 100, 100]),
        };
        let directory = Arc::new(Directory::new(policy));
        let worker = |id: usize| Live::new(WorkerId(id as u8), settings, Arc::clone(&directory));
        let lag = LagLimits {
            ms: settings.log.lag_ms,
            bytes: dice.pick(&[2_000, 50_000, 1 << 20]),
        };
        let names = (0..dice.between(1, 3)).map(|n| StreamName::new(&format!("live/s{n}")));
        // Each seed favours other things: some never pause, some take over all the time.
        let weights = WEIGHTS.map(|weight| match dice.below(8) {
            0 => 0,
            1 => weight * 4,
            _ => weight,
        });
        Self {
            now: Millis(dice.between(0, 10_000)),
            workers: (0..count).map(worker).collect(),
            net: Net::new(count),
            publishers: Vec::new(),
            players: Vec::new(),
            tallies: Vec::new(),
            trace: Trace {
                hash: seed,
                steps: 0,
                loud,
            },
            names: names.collect(),
            holders: HashMap::new(),
            setups: Vec::new(),
            mp3: dice.chance(25),
            touched: 0,
            due: vec![Millis::NEVER; count],
            last_conn: 0,
            directory,
            settings,
            policy,
            lag,
            weights,
            dice,
        }
    }

    /// Does one thing by chance, then checks.
    pub fn step(&mut self) {
        self.trace.steps += 1;
        self.now = self.now + self.dice.between(0, 20);
        let total: usize = self.weights.iter().sum();
        let mut throw = self.dice.below(total);
        let mut action = 0;
        while let Some(weight) = self.weights.get(action).filter(|weight| throw >= **weight) {
            throw -= weight;
            action += 1;
        }
        for place in 0..self.workers.len() {
            if self.due[place] <= self.now {
                self.wake(place);
            }
        }
        self.act(action);
        self.check();
    }

    fn act(&mut self, action: usize) {
        match action {
            0 => self.some_media(),
            1 => self.some_mail(),
            2 => self.some_flush(),
            3 => self.publish(),
            4 => self.end_some(),
            5 => self.play(),
            6 => self.leave_some(),
            7 => self.pause_some(),
            8 => self.receive_some(),
            9 => self.fill_some_inbox(),
            10 => self.ping_some(),
            11 => {
                let all = [100, 300, 1_000, 3_000, 12_000];
                self.now = self.now + self.dice.pick(&all);
                self.tick();
            }
            _ => self.tick(),
        }
    }

    pub fn check(&mut self) {
        for (place, live) in self.workers.iter().enumerate() {
            if self.touched & 1 << place != 0 {
                live.check();
            }
        }
        self.touched = 0;
    }

    pub fn tick(&mut self) {
        for place in 0..self.workers.len() {
            self.with(place, |live, now, out| live.tick(now, out));
        }
    }

    /// Calls a worker and does what a host does after each call.
    pub fn with<R>(
        &mut self,
        place: usize,
        call: impl FnOnce(&mut Live, Millis, &mut Outbox<'_>) -> R,
    ) -> R {
        let mut out = Outbox {
            net: &mut self.net,
            from: place,
        };
        let result = call(&mut self.workers[place], self.now, &mut out);
        self.touched |= 1 << place;
        self.settle_effects(place);
        result
    }

    fn settle_effects(&mut self, place: usize) {
        for effect in self.workers[place].take_effects() {
            match effect {
                Effect::Start {
                    player,
                    stream,
                    cursor,
                } => {
                    let started = self.players.iter_mut().find(|p| p.id == player);
                    let started = started.expect("who starts has not left");
                    assert!(started.cursor.is_none(), "{player:?} starts once");
                    (started.stream, started.cursor) = (stream, Some(cursor));
                    started.ready = true;
                    self.note_tally(place, stream);
                }
                Effect::NotFound { player } => {
                    let place = self.players.iter().position(|p| p.id == player);
                    let gone = self
                        .players
                        .swap_remove(place.expect("who waits has not left"));
                    assert!(gone.cursor.is_none(), "{player:?} was playing");
                }
                Effect::Evict { conn, run } => {
                    let publisher = self.publishers.iter();
                    let at = publisher
                        .clone()
                        .position(|p| p.conn == conn && p.run == run);
                    if let Some(at) = at {
                        self.end_publisher(at, End::Lost);
                    }
                }
            }
        }
        self.wake(place);
    }

    /// Asks a worker who has news; streams that gather (`--merge-ms`) say when to ask again.
    pub fn wake(&mut self, place: usize) {
        let mut due = Vec::new();
        let live = &mut self.workers[place];
        self.due[place] = live.take_due(self.now, &mut due);
        for stream in due {
            let mut dirty = Vec::new();
            live.players_after(stream, None, usize::MAX, &mut dirty);
            live.served(stream);
            for id in dirty {
                if let Some(player) = self.players.iter_mut().find(|p| p.id == id) {
                    player.ready = true;
                }
            }
        }
    }

    pub fn note_tally(&mut self, place: usize, stream: StreamRef) {
        let tally = self.workers[place]
            .stream(stream)
            .and_then(|s| s.tally().cloned());
        if let Some(tally) = tally
            && !self.tallies.iter().any(|known| Arc::ptr_eq(known, &tally))
        {
            self.tallies.push(tally);
        }
    }

    // ---- publishers ----

    fn some_media(&mut self) {
        if self.publishers.is_empty() {
            return self.publish();
        }
        let at = self.dice.below(self.publishers.len());
        for _ in 0..self.dice.between(1, 12) {
            self.send(at);
        }
    }

    pub fn send(&mut self, at: usize) {
        let publisher = &mut self.publishers[at];
        let message = publisher.encoder.next(&mut self.dice, self.now.0);
        let (stream, run, name) = (publisher.stream, publisher.run, publisher.name);
        let place = publisher.conn.worker.index();
        let numbers = [
            run.0,
            u64::from(message.timestamp),
            message.body.len() as u64,
        ];
        self.trace
            .note(|| format!("send {:?} w{place}", message.kind), &numbers);
        let sound = message.kind == corecast::rtmp::message::Kind::Audio;
        self.with(place, |live, now, out| {
            live.append(stream, run, message, now, out)
        });
        let now = self.now;
        if let Some(holder) = self
            .holders
            .get_mut(&name)
            .filter(|holder| holder.run == run)
        {
            holder.heard.1 = now;
            if sound {
                holder.heard.0 = now;
            }
        }
    }

    fn publish(&mut self) {
        if self.publishers.len() >= 6 {
            return;
        }
        let name = self.dice.below(self.names.len());
        let conn = self.connect();
        let peer = IpAddr::V4(Ipv4Addr::new(10, 0, 0, self.dice.between(1, 3) as u8));
        let place = conn.worker.index();
        let may = self.may_publish(name, peer);
        let (title, by) = (self.names[name].clone(), PlayerId { conn, stream_id: 1 });
        let result = self.with(place, |live, now, out| {
            live.publish(&title, by, peer, now, out)
        });
        self.trace.note(
            || format!("publish {title} w{place} {result:?}"),
            &[u64::from(conn.index), u64::from(result.is_ok())],
        );
        match result {
            Ok((stream, run)) => {
                assert_ne!(may, Some(false), "{peer} must not get {title}");
                let encoder = self.encoder(name, run);
                self.holders.insert(
                    name,
                    Holder {
                        run,
                        peer,
                        heard: (self.now, self.now),
                    },
                );
                self.publishers.push(Publisher {
                    conn,
                    name,
                    stream,
                    run,
                    encoder,
                });
                self.note_tally(place, stream);
            }
            Err(Taken::Busy { .. }) => assert_ne!(may, Some(true), "{peer} must get {title}"),
            Err(Taken::TooMany { max }) => assert!(self.directory.len() >= max),
        }
    }

    /// An encoder with settings of its own, or with those of one before it on that stream.
    fn encoder(&mut self, name: usize, run: Run) -> Encoder {
        let before = self
            .setups
            .iter()
            .enumerate()
            .filter(|(_, setup)| setup.0 == name);
        let before: Vec<_> = before.map(|(place, setup)| (place, setup.1)).collect();
        let styles = if self.mp3 {
            &Style::ALL
        } else {
            Style::ALL.split_last().unwrap().1
        };
        let (setup, style) = if before.is_empty() || self.dice.chance(30) {
            let style = self.dice.pick(styles);
            self.setups.push((name, style));
            (self.setups.len() - 1, style)
        } else {
            self.dice.pick(&before)
        };
        let style = if self.dice.chance(20) {
            self.dice.pick(styles)
        } else {
            style
        };
        Encoder::new(run.0, setup as u16, style, &mut self.dice)
    }

    /// What `--on-duplicate` says; `None` when it hangs on a message that may not have counted.
    fn may_publish(&self, name: usize, peer: IpAddr) -> Option<bool> {
        let Some(holder) = self.holders.get(&name) else {
            return Some(true);
        };
        let long = |heard: Millis| self.now.since(heard) >= self.policy.takeover_ms;
        let silent = match (long(holder.heard.0), long(holder.heard.1)) {
            (true, true) => Some(true),
            (false, false) => Some(false),
            _ => None,
        };
        match self.policy.on_duplicate {
            OnDuplicate::Replace => Some(true),
            OnDuplicate::Reject => Some(false),
            OnDuplicate::SameSource if holder.peer == peer => Some(true),
            OnDuplicate::SameSource | OnDuplicate::ReplaceIfIdle => silent,
        }
    }

    fn end_some(&mut self) {
        if self.publishers.is_empty() {
            return;
        }
        let at = self.dice.below(self.publishers.len());
        let end = if self.dice.chance(50) {
            End::Clean
        } else {
            End::Lost
        };
        self.end_publisher(at, end);
    }

    pub fn end_publisher(&mut self, at: usize, end: End) {
        let Publisher {
            conn,
            name,
            stream,
            run,
            ..
        } = self.publishers.swap_remove(at);
        self.trace
            .note(|| format!("{end:?} end of {conn}"), &[run.0]);
        if self
            .holders
            .get(&name)
            .is_some_and(|holder| holder.run == run)
        {
            self.holders.remove(&name);
        }
        let place = conn.worker.index();
        self.with(place, |live, now, out| {
            live.unpublish(stream, run, end, now, out)
        });
    }

    pub fn connect(&mut self) -> ConnId {
        self.last_conn += 1;
        let worker = WorkerId(self.dice.below(self.workers.len()) as u8);
        ConnId {
            worker,
            index: self.last_conn,
            generation: 1,
        }
    }

    // ---- mail ----

    fn some_mail(&mut self) {
        let pairs = self.net.pairs();
        if pairs.is_empty() {
            return;
        }
        let (from, to) = self.dice.pick(&pairs);
        let most = self.dice.pick(&[1, 4, 1_000]);
        self.deliver(from, to, most);
    }

    /// Delivers up to `most` pieces of mail of one pair.
    pub fn deliver(&mut self, from: usize, to: usize, most: usize) {
        for _ in 0..most {
            let Some(mail) = self.net.take(from, to) else {
                return;
            };
            self.trace
                .note(|| format!("mail w{from} > w{to} {}", brief(&mail)), &[]);
            let sender = WorkerId(from as u8);
            self.with(to, |live, now, out| live.deliver(sender, mail, now, out));
        }
    }

    fn fill_some_inbox(&mut self) {
        let at = self.dice.below(self.workers.len());
        let room = self.dice.pick(&[0, 1, 5, 30, usize::MAX, usize::MAX]);
        self.net.room[at] = room;
        self.trace.note(|| format!("room w{at}"), &[room as u64]);
    }
}

fn brief(mail: &corecast::live::Mail) -> String {
    format!("{mail:?}").chars().take(90).collect()
}

fn settings(dice: &mut Dice) -> Settings {
    Settings {
        gop_cache: dice.pick(&[GopCache::Full, GopCache::Full, GopCache::Key, GopCache::Off]),
        log: LogLimits {
            bytes: dice.pick(&[20_000, 100_000, 1 << 20]),
            frames: dice.pick(&[8, 40, 120]),
            lag_ms: dice.pick(&[200, 2_000, 10_000]),
        },
        grace_ms: dice.pick(&[0, 500, 10_000]),
        grace_on_clean_end: dice.chance(20),
        play_wait_ms: dice.pick(&[200, 3_000, 30_000]),
        linger_ms: dice.pick(&[0, 200, 5_000]),
        merge_ms: dice.pick(&[0, 0, 30, 350]),
        chunk_size: dice.pick(&[128, 4_096, 60_000]),
    }
}

/// Things that can happen, in the order of `World::act`.
const ACTIONS: usize = 13;
const WEIGHTS: [usize; ACTIONS] = [300, 250, 300, 14, 6, 30, 16, 12, 10, 10, 10, 6, 10];
