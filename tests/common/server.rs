//! `TestServer`: the real binary on a port nobody else gets, with its log lines, ended on drop.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use super::link::PATIENCE;

/// A running server.
pub struct TestServer {
    /// Where it listens for RTMP.
    pub rtmp: SocketAddr,
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    /// Keeps the port ours: bound and never listening.
    _reserved: Socket,
}

impl TestServer {
    /// Starts the server on a free port of the loopback address with two workers and more flags;
    /// returns when it accepts connections.
    pub fn start(flags: &[&str]) -> Self {
        Self::with_workers(2, flags)
    }

    /// The same with another number of workers.
    pub fn with_workers(workers: usize, flags: &[&str]) -> Self {
        Self::with(workers, None, flags)
    }

    /// The same as `start`, and what 127.0.0.66 does breaks it in this way.
    pub fn with_fault(fault: &str, flags: &[&str]) -> Self {
        Self::with(2, Some(fault), flags)
    }

    fn with(workers: usize, fault: Option<&str>, flags: &[&str]) -> Self {
        let (reserved, rtmp) = reserve();
        let (address, workers) = (rtmp.to_string(), workers.to_string());
        let mut command = Command::new(env!("CARGO_BIN_EXE_corecast"));
        // The tester's own settings are not the test's.
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("CORECAST_") || name == "RUST_LOG" {
                command.env_remove(name);
            }
        }
        command.envs(fault.map(|fault| ("CORECAST_TEST_FAULT", fault)));
        if !flags.contains(&"--pin") {
            command.args(["--pin", "none"]);
        }
        command
            .args(["--rtmp", &address, "--workers", &workers])
            .args(flags);
        let mut server = Self::spawn(&mut command, rtmp, reserved);
        server.await_ready();
        server
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has written to stderr so far, by lines.
    pub fn lines(&self) -> Vec<String> {
        self.lines
            .lock()
            .expect("the log reader does not panic")
            .clone()
    }

    /// Waits for a line that contains `text`; panics when none comes.
    pub fn line_with(&self, text: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(line) = self.lines().into_iter().find(|line| line.contains(text)) {
                return line;
            }
            assert!(
                Instant::now() < until,
                "no {text:?} in the log:\n{}",
                self.lines().join("\n")
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Asks it to stop by a signal (`TERM`, `INT`, `HUP`).
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args(["-s", name, &self.pid().to_string()])
            .status();
        assert!(
            sent.is_ok_and(|status| status.success()),
            "no signal {name} sent"
        );
    }

    /// Waits for the process to end by itself; `None` when it does not in that time.
    pub fn exit(&mut self, patience: Duration) -> Option<ExitStatus> {
        let until = Instant::now() + patience;
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            if Instant::now() >= until {
                return None;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Resident memory in bytes.
    pub fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap_or("0 kB");
        let kib = line.trim().trim_end_matches("kB").trim().parse::<u64>();
        kib.expect("VmRSS is a number") << 10
    }

    /// Open descriptors: sockets that leak stay in this number.
    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid())).map_or(0, Iterator::count)
    }

    fn spawn(command: &mut Command, rtmp: SocketAddr, reserved: Socket) -> Self {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the server binary starts");
        let stderr = child.stderr.take().expect("stderr is a pipe");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        // Ends by itself with the pipe, i.e. with the process.
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                sink.lock().expect("nobody panics with the lock").push(line);
            }
        });
        Self {
            rtmp,
            child,
            lines,
            _reserved: reserved,
        }
    }

    fn await_ready(&mut self) {
        let until = Instant::now() + PATIENCE;
        while TcpStream::connect_timeout(&self.rtmp, Duration::from_millis(200)).is_err() {
            let gone = self.child.try_wait().expect("a child can be asked");
            let log = || self.lines().join("\n");
            assert!(gone.is_none(), "the server ended with {gone:?}:\n{}", log());
            assert!(
                Instant::now() < until,
                "the server does not listen:\n{}",
                log()
            );
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        // By process id, and only the process this test started.
        let _ = self.child.kill();
        if self.exit(PATIENCE).is_none() {
            eprintln!("server {} outlived its kill", self.pid());
        }
        if thread::panicking() {
            eprintln!("--- server log ---\n{}", self.lines().join("\n"));
        }
    }
}

/// A port of the loopback address that the kernel gives to no one else while the socket lives;
/// the server may bind it because both sides set SO_REUSEADDR (when it looks whether the port is
/// taken) and SO_REUSEPORT (when its workers share it), and because this socket never listens.
fn reserve() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_reuse_address(true).expect("SO_REUSEADDR");
    socket.set_reuse_port(true).expect("SO_REUSEPORT");
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    socket.bind(&any.into()).expect("a free port");
    let bound = socket
        .local_addr()
        .expect("bound")
        .as_socket()
        .expect("an IP address");
    (socket, bound)
}
