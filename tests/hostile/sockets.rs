//! Connections that are idle, drip, are cut, or do not read: Z-01 to Z-11 over sockets.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use rlimit::Resource;
use socket2::SockRef;

use crate::canary::spared;
use crate::common::bench::{Client, hello, messages};
use crate::common::client::Publisher;
use crate::common::link::Dial;
use crate::common::server::TestServer;

#[test]
fn z01_z02_who_says_nothing_or_drips_is_gone_after_five_seconds() {
    spared(&[], |server| {
        let started = Instant::now();
        let idle: Vec<TcpStream> = (0..400).map(|_| dial(server)).collect();
        let mut drip = dial(server);
        drip.write_all(&[3]).unwrap();
        // The deadline is absolute: bytes do not renew it.
        while drip.write_all(&[0]).is_ok() {
            thread::sleep(Duration::from_millis(100));
            assert!(
                started.elapsed() < Duration::from_secs(8),
                "the dripping peer lives"
            );
        }
        assert!(
            started.elapsed() >= Duration::from_secs(4),
            "cut after {:?}",
            started.elapsed()
        );
        for socket in idle {
            assert!(rest(socket).is_empty(), "a word to who said none");
        }
        let took = started.elapsed();
        assert!(took < Duration::from_secs(8), "closed after {took:?}");
    });
}

#[test]
fn z03_other_protocols_get_no_byte_and_no_connection() {
    spared(&[], |server| {
        let noise: Vec<u8> = (0..4_000_u32).map(|n| (n * 7 + 129) as u8).collect();
        let openings: [&[u8]; 5] = [
            &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3],
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"SSH-2.0-OpenSSH_9.2\r\n",
            b"\x06\0\0\0\0\x80\0\x03\x02",
            &noise,
        ];
        for opening in openings.iter().cycle().take(50) {
            let mut socket = dial(server);
            let started = Instant::now();
            let _ = socket.write_all(opening);
            assert!(rest(socket).is_empty(), "an answer to {opening:02x?}");
            assert!(started.elapsed() < Duration::from_secs(3), "closed late");
        }
    });
}

#[test]
fn z07_a_flood_instead_of_c2_is_closed_and_costs_no_memory() {
    spared(&[], |server| {
        let before = server.resident_bytes();
        for filler in [0x03, 0x5A, 0xFF] {
            let mut socket = dial(server);
            socket.write_all(&hello()[..1_537]).unwrap();
            let flood = vec![filler; 1 << 20];
            let started = Instant::now();
            // After its close the server discards what comes for two seconds (L-13).
            while socket.write_all(&flood).is_ok() {
                assert!(
                    started.elapsed() < FLOOD_MAX,
                    "{filler:02x} is taken for ever"
                );
            }
        }
        let grown = server.resident_bytes().saturating_sub(before);
        assert!(grown < 16 << 20, "{grown} bytes");
    });
}

#[test]
fn z08_a_reset_at_every_byte_of_the_handshake_leaks_nothing() {
    spared(&[], |server| {
        let bytes = hello();
        for end in 0..=bytes.len() {
            let mut socket = dial(server);
            socket.write_all(&bytes[..end]).unwrap();
            reset(socket);
        }
    });
}

#[test]
fn z09_a_full_server_closes_newcomers_at_once_without_spinning_and_serves_again() {
    let server = TestServer::start(&["--max-connections", "32"]);
    let all: Vec<TcpStream> = (0..100).map(|_| dial(&server)).collect();
    let line = server.line_with("--max-connections 32 are open");
    assert!(line.contains("127.0.0.1"), "{line}");
    thread::sleep(Duration::from_millis(300));
    // All workers together have 32 places, however the kernel spread the newcomers; who asked
    // whether the server is up may have held one of them.
    let (idle, closed): (Vec<_>, Vec<_>) = all.into_iter().partition(is_open);
    assert!(matches!(idle.len(), 31 | 32), "{} have a place", idle.len());
    assert!(closed.into_iter().all(|socket| rest(socket).is_empty()));
    let told = server.lines();
    let told = told.iter().filter(|line| line.contains("newcomer"));
    assert!(told.count() <= 1, "one line for all");
    let before = cpu_ticks(&server);
    thread::sleep(Duration::from_secs(1));
    let ticks = cpu_ticks(&server) - before;
    assert!(ticks < 20, "{ticks} ticks of 10 ms in a second of waiting");
    idle.into_iter().for_each(reset);
    let started = Instant::now();
    Publisher::connect(server.rtmp, "live/cam").unwrap().stop();
    assert!(
        started.elapsed() < Duration::from_secs(3),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn z09_without_descriptors_newcomers_are_closed_soon_and_taken_again_without_a_knock() {
    spared(&[], |server| {
        let allow = |more: usize| {
            let soft = (server.descriptors() + more) as u64;
            let pid = i32::try_from(server.pid()).unwrap();
            let (mut now, mut hard) = (0, 0);
            rlimit::prlimit(pid, Resource::NOFILE, None, Some((&mut now, &mut hard))).unwrap();
            rlimit::prlimit(pid, Resource::NOFILE, Some((soft, hard)), None).unwrap();
        };
        allow(8);
        let crowd: Vec<TcpStream> = (0..60).map(|_| dial(server)).collect();
        server.line_with("cannot accept");
        thread::sleep(Duration::from_millis(1_500));
        let before = cpu_ticks(server);
        thread::sleep(Duration::from_secs(1));
        let ticks = cpu_ticks(server) - before;
        assert!(ticks < 20, "{ticks} ticks of 10 ms in a second of waiting");
        let open = crowd.iter().filter(|socket| is_open(socket)).count();
        assert!((1..=16).contains(&open), "{open} of 60 are open");
        let said = server.lines();
        let said = said.iter().filter(|line| line.contains("cannot accept"));
        assert_eq!(said.count(), 1);
        crowd.into_iter().for_each(reset);
        // Who waits when descriptors come free is served; not if the machine dozed until its
        // patience was over.
        let served = (0..5).any(|_| {
            thread::sleep(Duration::from_millis(500));
            allow(0);
            let mut waiting = dial(server);
            waiting.write_all(&hello()).unwrap();
            thread::sleep(Duration::from_millis(50));
            allow(100);
            matches!(waiting.read(&mut [0]), Ok(1))
        });
        assert!(served, "nobody is taken in again");
    });
}

#[test]
fn z10_who_says_goodbye_behind_connect_still_gets_the_answer() {
    spared(&[], |server| {
        for _ in 0..20 {
            let mut socket = dial(server);
            let mut client = Client::new();
            client.connect(&[("app", "live".into())]);
            socket.write_all(&client.bytes).unwrap();
            socket.shutdown(Shutdown::Write).unwrap();
            let started = Instant::now();
            let heard = rest(socket);
            assert!(started.elapsed() < Duration::from_secs(2), "closed late");
            let said = messages(&heard[3_073..], 128);
            let text = String::from_utf8_lossy(said.last().unwrap().payload()).into_owned();
            assert!(text.contains("NetConnection.Connect.Success"), "{text}");
        }
        let before = cpu_ticks(server);
        thread::sleep(Duration::from_millis(500));
        let ticks = cpu_ticks(server) - before;
        assert!(ticks < 25, "{ticks} ticks of 10 ms in half a second");
    });
}

#[test]
fn z11_z36_z50_who_asks_without_end_and_never_reads_is_closed() {
    spared(&[], |server| {
        let before = server.resident_bytes();
        let mut ping = Client::bare();
        ping.bytes = [
            &[2, 0, 0, 0, 0, 0, 6, 4, 0, 0, 0, 0][..],
            &[0, 6, 1, 2, 3, 4],
        ]
        .concat();
        let mut create = Client::bare();
        create.call(0, "createStream", 2.0, &[]);
        for question in [ping.bytes, create.bytes] {
            let small = Dial::new(server.rtmp).receive_buffer(4_096);
            let mut socket = small.socket().unwrap();
            let mut client = Client::new();
            client.connect(&[("app", "live".into())]);
            socket.write_all(&client.bytes).unwrap();
            let many = question.repeat(1_000);
            let started = Instant::now();
            while socket.write_all(&many).is_ok() {
                assert!(
                    started.elapsed() < FLOOD_MAX,
                    "questions are taken for ever"
                );
            }
        }
        let grown = server.resident_bytes().saturating_sub(before);
        assert!(grown < 16 << 20, "{grown} bytes");
    });
}

/// A connection that waits 9 s for bytes.
pub(crate) fn dial(server: &TestServer) -> TcpStream {
    let socket = Dial::new(server.rtmp).socket().unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(9)))
        .unwrap();
    socket
}

/// Whether the server has neither closed nor said anything.
fn is_open(socket: &TcpStream) -> bool {
    socket.set_nonblocking(true).unwrap();
    let heard = (&*socket).read(&mut [0]);
    socket.set_nonblocking(false).unwrap();
    heard.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

/// Everything until the server closes, be it by a reset.
fn rest(mut socket: TcpStream) -> Vec<u8> {
    let mut heard = Vec::new();
    match socket.read_to_end(&mut heard) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "not closed"),
    }
    heard
}

/// Closes with a reset instead of a FIN.
pub(crate) fn reset(socket: TcpStream) {
    let _ = SockRef::from(&socket).set_linger(Some(Duration::ZERO));
}

/// User and system time of the server, in hundredths of a second.
fn cpu_ticks(server: &TestServer) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", server.pid())).unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let field = |n: usize| {
        fields
            .split_whitespace()
            .nth(n)
            .unwrap()
            .parse::<u64>()
            .unwrap()
    };
    field(11) + field(12)
}

/// Longest time a flood goes on: a linger of two seconds and what a busy machine adds.
const FLOOD_MAX: Duration = Duration::from_secs(5);
