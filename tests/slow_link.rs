//! `scripts/slow-link.sh`: what goes through it comes out late and unchanged, and nothing is left.
//!
//! Only lower bounds of time are asserted: a busy machine adds to them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

#[test]
fn an_echo_takes_twice_the_delay_and_comes_back_unchanged() {
    let Some(link) = Link::new(&["--delay", "25ms"]) else {
        return;
    };
    let (echo, stats) = link.echo(1 << 20);
    assert!(echo.connected_us >= 50_000, "{echo:?}");
    assert!(echo.round_us >= 50_000, "{echo:?}");
    assert!(echo.is_same, "{echo:?}");
    // TCP would repair a packet that the link had changed, but not without sending it again.
    assert_eq!(echo.datagrams, 60, "{echo:?}");
    for way in ["to_client", "to_server"] {
        assert!(stats[way]["bytes"].as_u64().unwrap() > 1 << 20, "{stats:#}");
        assert_eq!(stats[way]["lost"], 0, "{stats:#}");
        assert_eq!(stats[way]["overflowed"], 0, "{stats:#}");
    }
}

#[test]
fn a_lossy_link_loses_packets_and_tcp_repairs_it() {
    let Some(link) = Link::new(&["--delay", "1ms", "--loss", "3%", "--seed", "7"]) else {
        return;
    };
    let (echo, stats) = link.echo(400_000);
    assert!(echo.is_same, "{echo:?}");
    assert!(
        stats["to_client"]["lost"].as_u64().unwrap() > 0,
        "{stats:#}"
    );
    assert!(
        stats["to_server"]["lost"].as_u64().unwrap() > 0,
        "{stats:#}"
    );
}

#[test]
fn a_rate_takes_its_time_and_a_short_queue_drops() {
    let flags = ["--rate", "8M", "--queue", "5", "--congestion", "reno"];
    let Some(link) = Link::new(&flags) else {
        return;
    };
    let (echo, stats) = link.echo(500_000);
    assert!(echo.is_same, "{echo:?}");
    // 500,000 bytes of 8 bits.
    assert!(echo.all_us >= 500_000, "{echo:?}");
    assert!(
        stats["to_server"]["overflowed"].as_u64().unwrap() > 0,
        "{stats:#}"
    );
}

#[test]
fn the_exit_code_is_the_clients() {
    let Some(link) = Link::new(&[]) else {
        return;
    };
    let output = link.run("true", "echo \"$SLOW_LINK_SERVER\"; exit 7");
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(output.stdout, b"10.99.0.1\n");
}

#[test]
fn flags_that_make_no_link_are_refused_by_name() {
    for (flags, named) in [
        (&["--delay", "soon"][..], "--delay"),
        (&["--loss", "101"], "--loss"),
        (&["--rate", "12"], "--rate"),
        (&["--queue", "9"], "--queue"),
        (&["--jitter", "9"], "--jitter"),
    ] {
        let output = script(flags).args(["--", "true", ":::", "true"]).output();
        let output = output.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{flags:?}: {said}");
        assert!(said.contains(named), "{flags:?}: {said}");
    }
    let endless = script(&["--", "true"]).output().unwrap();
    assert_eq!(endless.status.code(), Some(2));
}

#[test]
fn a_signal_ends_all_that_runs_at_both_ends() {
    let Some(link) = Link::new(&["--port", "7000"]) else {
        return;
    };
    // The server does not care for signals, and its child is nobody's business but the script's.
    let server = format!("trap '' TERM; python3 -c '{ECHO}' & wait");
    let client = "echo $SLOW_LINK_SERVER_PID; exec sleep 1000";
    let mut child = link.command(&server, client).spawn().unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    let server: u32 = line.trim().parse().expect("the server's process id");
    assert!(is_running(server));
    assert_eq!(namespaces_of(child.id()).len(), 2);
    let script = child.id().to_string();
    let killed = Command::new("kill").args(["-INT", &script]).status();
    assert!(killed.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(!is_running(server));
    assert_eq!(namespaces_of(child.id()), [""; 0]);
}

/// A link that can be made here.
struct Link<'a> {
    flags: &'a [&'a str],
}

/// What a client saw of an echo.
#[derive(Debug)]
struct Echo {
    /// From dialling to being connected, microseconds.
    connected_us: u64,
    /// The fastest of some round trips of one byte, microseconds.
    round_us: u64,
    /// All bytes there and back, microseconds.
    all_us: u64,
    /// They came back as they went.
    is_same: bool,
    /// Of 60 datagrams, how many came back as they went and in their order.
    datagrams: u64,
}

impl<'a> Link<'a> {
    /// `None`, and says why: this machine or this user has no network namespaces and devices.
    fn new(flags: &'a [&'a str]) -> Option<Self> {
        let is_root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
        let lack = if !is_root {
            "only root may make network namespaces"
        } else if !Path::new("/dev/net/tun").exists() {
            "no /dev/net/tun"
        } else {
            return Some(Self { flags });
        };
        assert!(env::var("CI").as_deref() != Ok("true"), "{lack}");
        // Around the test harness, which keeps what a passing test prints to itself.
        let told = format!("SKIPPED: slow-link.sh: {lack}\n");
        std::io::stderr().write_all(told.as_bytes()).unwrap();
        None
    }

    fn command(&self, server: &str, client: &str) -> Command {
        let mut command = script(self.flags);
        command
            .args(["--", "bash", "-c", server, ":::", "bash", "-c", client])
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        command
    }

    fn run(&self, server: &str, client: &str) -> Output {
        self.command(server, client).output().unwrap()
    }

    /// Sends so many bytes there and back.
    fn echo(&self, bytes: usize) -> (Echo, Value) {
        let folder = tempfile::tempdir().unwrap();
        let stats = folder.path().join("stats.json");
        let file = stats.to_str().unwrap();
        let flags = [self.flags, &["--port", "7000", "--stats", file]].concat();
        let server = format!("exec python3 -c '{ECHO}'");
        let client = format!("exec python3 -c '{ASK}' {bytes}");
        let output = Link { flags: &flags }.run(&server, &client);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        let found: Vec<u64> = String::from_utf8_lossy(&output.stdout)
            .split_whitespace()
            .map(|word| word.parse().unwrap())
            .collect();
        let echo = Echo {
            connected_us: found[0],
            round_us: found[1],
            all_us: found[2],
            is_same: found[3] == 1,
            datagrams: found[4],
        };
        let stats = fs::read(stats).unwrap();
        (echo, serde_json::from_slice(&stats).unwrap())
    }
}

fn script(flags: &[&str]) -> Command {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/slow-link.sh");
    let mut command = Command::new(path);
    command.args(flags);
    command
}

fn is_running(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

fn namespaces_of(script: u32) -> Vec<String> {
    let output = Command::new("ip").args(["netns", "list"]).output().unwrap();
    let own = format!("slow-link-{script}-");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter(|line| line.starts_with(&own))
        .map(str::to_owned)
        .collect()
}

/// Sends back what clients send.
const ECHO: &str = "
import socket, threading
def reflect():
    mirror = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    mirror.bind((\"10.99.0.1\", 7000))
    while True:
        mirror.sendto(*mirror.recvfrom(65536))
threading.Thread(target=reflect, daemon=True).start()
listener = socket.create_server((\"10.99.0.1\", 7000))
while True:
    peer, _ = listener.accept()
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while piece := peer.recv(65536):
        peer.sendall(piece)
    peer.close()
";

/// Prints the five numbers of an `Echo`.
const ASK: &str = "
import random, socket, sys, threading, time
def clock():
    return time.monotonic_ns() // 1000
begun = clock()
peer = socket.create_connection((\"10.99.0.1\", 7000), 20)
print(clock() - begun)
peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
rounds = []
for _ in range(3):
    begun = clock()
    peer.sendall(b\"x\")
    peer.recv(1)
    rounds.append(clock() - begun)
print(min(rounds))
sent = random.Random(1).randbytes(int(sys.argv[1]))
begun = clock()
threading.Thread(target=peer.sendall, args=(sent,)).start()
back = bytearray()
while len(back) < len(sent) and (piece := peer.recv(65536)):
    back += piece
print(clock() - begun)
print(int(back == sent))
peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
peer.settimeout(3)
peer.connect((\"10.99.0.1\", 7000))
same = 0
for burst in range(3):
    sent = [random.Random(burst * 20 + n).randbytes(n * 70) for n in range(1, 21)]
    for datagram in sent:
        peer.send(datagram)
    try:
        same += sum(peer.recv(65536) == datagram for datagram in sent)
    except TimeoutError:
        break
print(same)
";
