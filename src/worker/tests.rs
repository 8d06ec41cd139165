//! A worker with real sockets and a clock of the test's own: what only the loop can get wrong.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

use mio::Waker;

use super::*;
use crate::limits::MeshLimits;
use crate::live::Policy;
use crate::mesh::Mesh;
use crate::rtmp::amf0::{Object, Value, encode};
use crate::rtmp::chunk::{ChunkWriter, Head, csid};
use crate::rtmp::message::Kind;
use conn::{Conn, Role};

/// A worker alone, whose turns the test makes.
struct Bench {
    worker: Worker,
    listener: TcpListener,
    /// Keep the sockets of the other ends open.
    peers: Vec<TcpStream>,
}

/// The chunks of one connection's peer.
struct Client {
    id: ConnId,
    chunks: ChunkWriter,
    bytes: Vec<u8>,
}

impl Bench {
    fn new() -> Self {
        Self::with_write_timeout(1_000)
    }

    fn with_write_timeout(write_timeout_ms: u64) -> Self {
        Self::with(Config {
            workers: 1,
            write_timeout_ms,
            ..Config::default()
        })
    }

    fn with(config: Config) -> Self {
        let poll = Poll::new().unwrap();
        let waker = Waker::new(poll.registry(), BELL).unwrap();
        let mut ports = Mesh::build(1, vec![Some(waker)], MeshLimits::of(&config));
        let config = Arc::new(config);
        let policy = Policy {
            on_duplicate: config.on_duplicate,
            takeover_ms: config.takeover_ms,
            streams_max: config.max_streams,
        };
        let worker = Worker::new(WorkerSeed {
            id: WorkerId(0),
            config: Arc::clone(&config),
            listeners: Vec::new(),
            port: ports.remove(0),
            poll,
            directory: Arc::new(Directory::new(policy)),
            door: Arc::new(Door::new(&config)),
            pulse: Arc::default(),
            started: Instant::now(),
            seed: [3; 32],
        });
        Self {
            worker: worker.unwrap(),
            listener: TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap(),
            peers: Vec::new(),
        }
    }

    /// Somebody stands at the door, as if from that address.
    fn knock(&mut self, from: &str, now: Millis) {
        let address = self.listener.local_addr().unwrap();
        self.peers.push(TcpStream::connect(address).unwrap());
        let (socket, peer) = self.listener.accept().unwrap();
        socket.set_nonblocking(true).unwrap();
        let socket = mio::net::TcpStream::from_std(socket);
        let peer = SocketAddr::new(from.parse().unwrap(), peer.port());
        self.worker.receive(socket, peer, now);
    }

    /// A connection whose connect was accepted, with message streams 1 and 2.
    fn connected(&mut self, now: Millis) -> Client {
        self.connected_from("127.0.0.1", now)
    }

    fn connected_from(&mut self, from: &str, now: Millis) -> Client {
        self.knock(from, now);
        let mut client = Client {
            id: *self.worker.conns.ids().last().unwrap(),
            chunks: ChunkWriter::new(128),
            // Version 3, then C1 and C2 of zeros: the simple handshake.
            bytes: [&[3][..], &[0; 2 * 1_536]].concat(),
        };
        let app = Value::Object(Object::new().with("app", "live"));
        client.say(0, &["connect".into(), 1.0.into(), app]);
        for transaction in [2.0, 3.0] {
            let create = ["createStream".into(), transaction.into(), Value::Null];
            client.say(0, &create);
        }
        self.hear(&mut client, now);
        client
    }

    /// The worker reads what the client has said.
    fn hear(&mut self, client: &mut Client, now: Millis) {
        let bytes = std::mem::take(&mut client.bytes);
        self.worker.digest(client.id, &bytes, now);
        self.worker.apply_effects(now);
        self.conn(client).writable = true;
        self.worker.rearm(client.id);
    }

    fn conn(&mut self, client: &Client) -> &mut Conn {
        self.worker.conns.find(client.id).expect("it is there")
    }
}

impl Client {
    fn say(&mut self, stream_id: u32, values: &[Value<'_>]) {
        let mut payload = Vec::new();
        for value in values {
            encode(value, &mut payload);
        }
        let head = Head {
            csid: csid::COMMAND,
            timestamp: 0,
            kind: Kind::CommandAmf0,
            stream_id,
        };
        self.chunks.write_message(&mut self.bytes, &head, &payload);
    }

    fn ask(&mut self, stream_id: u32, what: &str, name: &str) {
        let values = [what.into(), 4.0.into(), Value::Null, name.into()];
        self.say(stream_id, &values);
    }
}

#[test]
fn a_player_that_stalls_again_and_again_does_not_fill_the_wheel() {
    let mut bench = Bench::new();
    let mut player = bench.connected(Millis(0));
    player.ask(1, "play", "nothing");
    bench.hear(&mut player, Millis(0));
    for round in 0..500 {
        let now = Millis(round * 2_000);
        let conn = bench.conn(&player);
        conn.session.sent(now);
        conn.stalled_since = Some(now);
        bench.worker.rearm(player.id);
        bench.conn(&player).stalled_since = None;
        let (now, mut due) = (now + 1_999, Vec::new());
        bench.worker.wheel.fire(now, &mut due);
        for id in due {
            bench.worker.timeout(id, now);
        }
    }
    assert!(matches!(bench.conn(&player).phase, Phase::Open));
    // One for each second up to the ping, and the ping.
    let entries = bench.worker.wheel.len();
    assert!(entries <= 20, "{entries} entries for one connection");
}

#[test]
fn a_player_that_stalls_has_as_long_as_the_write_timeout_says() {
    let mut bench = Bench::with_write_timeout(120_000);
    let mut publisher = bench.connected(Millis(0));
    publisher.ask(1, "publish", "cam");
    bench.hear(&mut publisher, Millis(0));
    let mut player = bench.connected(Millis(0));
    player.ask(1, "play", "cam");
    bench.hear(&mut player, Millis(0));
    let conn = bench.conn(&player);
    (conn.stalled_since, conn.writable) = (Some(Millis(0)), false);
    for second in 1..120 {
        let now = Millis(second * 1_000);
        bench.conn(&player).armed = now;
        bench.worker.timeout(player.id, now);
        let phase = &bench.conn(&player).phase;
        assert!(matches!(phase, Phase::Open), "after {second} s: {phase:?}");
    }
    bench.conn(&player).armed = Millis(120_000);
    bench.worker.timeout(player.id, Millis(120_000));
    let phase = &bench.conn(&player).phase;
    let reason = CloseReason::TooSlow {
        stalled_ms: 120_000,
    };
    assert_eq!(
        format!("{phase:?}"),
        format!("{:?}", Phase::Dead { reason })
    );
}

#[test]
fn a_play_that_changed_its_mind_is_not_started_by_what_it_no_longer_waits_for() {
    let mut bench = Bench::new();
    let mut both = bench.connected(Millis(0));
    both.ask(1, "play", "first");
    bench.hear(&mut both, Millis(0));
    both.ask(2, "publish", "first");
    both.ask(1, "play", "second");
    bench.hear(&mut both, Millis(10));
    let role = bench.conn(&both).role_mut(1);
    let waits = matches!(role, Some(Role::Waiting { .. }));
    assert!(waits, "{role:?}");
}

#[test]
fn a_panic_in_a_session_is_a_reason_to_close_its_connection() {
    let calm = conn::contain(|| 7);
    assert!(matches!(calm, Ok(7)));
    let index = std::hint::black_box(3);
    let panics = conn::contain(|| [1, 2][index]);
    assert!(matches!(panics, Err(CloseReason::Panicked)));
}

#[test]
fn who_watches_and_publishes_does_not_hold_up_the_drain() {
    let mut bench = Bench::new();
    let mut both = bench.connected(Millis(0));
    both.ask(1, "publish", "mine");
    bench.hear(&mut both, Millis(0));
    both.ask(2, "play", "mine");
    bench.hear(&mut both, Millis(0));
    assert_eq!(bench.conn(&both).roles.len(), 2);
    bench.worker.drain(Millis(30_000), Millis(10));
    bench.worker.flush(Millis(10));
    let phase = &bench.conn(&both).phase;
    assert!(matches!(phase, Phase::Closing { .. }), "{phase:?}");
}

#[test]
fn an_unfinished_session_makes_room_once_it_had_its_chance_and_a_player_never() {
    let config = Config {
        workers: 1,
        max_pending: 1,
        ..Config::default()
    };
    let mut bench = Bench::with(config);
    let mut player = bench.connected_from("192.0.2.7", Millis(0));
    player.ask(1, "play", "nothing");
    bench.hear(&mut player, Millis(0));
    let silent = bench.connected_from("192.0.2.7", Millis(100));
    bench.knock("192.0.2.1", Millis(1_099));
    assert_eq!(bench.worker.conns.len(), 2, "it had less than a second");
    bench.knock("192.0.2.1", Millis(1_100));
    assert_eq!(bench.worker.conns.len(), 2);
    assert!(bench.worker.conns.find(silent.id).is_none());
    assert!(bench.worker.conns.find(player.id).is_some());
    assert_eq!(bench.worker.report.turned_away, 1);
}

#[test]
fn an_address_that_finishes_nothing_makes_no_room_for_itself() {
    let config = Config {
        workers: 1,
        max_pending_per_ip: 3,
        ..Config::default()
    };
    let mut bench = Bench::with(config);
    for second in 0..10 {
        bench.knock("192.0.2.1", Millis(second * 1_000));
    }
    assert_eq!(bench.worker.conns.len(), 3);
    bench.knock("192.0.2.2", Millis(10_000));
    bench.knock("127.0.0.1", Millis(10_000));
    assert_eq!(bench.worker.conns.len(), 5);
}

#[test]
fn the_list_of_unfinished_sessions_forgets_those_that_are_none() {
    let mut bench = Bench::new();
    let first = bench.connected_from("192.0.2.7", Millis(0));
    for round in 1..1_000 {
        let mut player = bench.connected_from("192.0.2.7", Millis(round));
        player.ask(1, "play", "nothing");
        bench.hear(&mut player, Millis(round));
        bench.conn(&player).cut(CloseReason::Peer);
        bench.worker.dead.push(player.id);
        bench.worker.reap(Millis(round));
        bench.peers.truncate(1);
        let listed = bench.worker.pending.len();
        assert!(listed <= 64, "{listed} entries for one session");
    }
    assert_eq!(bench.worker.pending.front(), Some(&first.id));
}
