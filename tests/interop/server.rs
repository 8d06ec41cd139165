//! The server under test, and nginx with its RTMP module as the server's peer.
//!
//! Invariant: every server listens on a loopback port that the kernel chose, and is answering
//! before the first tool is started. `CORECAST_INTEROP_SERVER=nginx` puts nginx in Corecast's
//! place: a failure that stays is the tool's or the harness's, not the server's.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::child::Child;
use crate::tools::Tool;

/// A running server that takes RTMP on `127.0.0.1:port`.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) port: u16,
    log_file: PathBuf,
}

impl Server {
    /// Starts the server under test; `flags` are Corecast's, beyond address and workers.
    pub(crate) fn start(dir: &Path, flags: &[&str]) -> Self {
        if is_reference() {
            return Self::start_nginx("server", dir, REFERENCE_APPS);
        }
        let port = free_port();
        let mut command = Command::new(env!("CARGO_BIN_EXE_corecast"));
        command
            .args(["--rtmp", &format!("127.0.0.1:{port}"), "--workers", "2"])
            .args(flags);
        command.env("RUST_LOG", "info").env("RUST_BACKTRACE", "1");
        Self::await_ready(
            Child::start("server", dir, &mut command),
            port,
            dir.join("no.log"),
        )
    }

    /// Starts the peer: what is published to its `/push/NAME` it pushes to `upstream`'s
    /// `/APP/NAME`, and what is played from its `/pull/NAME` it pulls from there. It must not
    /// wait for a key frame: it looks for one in the first four bits of a video message, finds
    /// none in Enhanced RTMP, and would drop the whole video.
    pub(crate) fn start_peer(dir: &Path, upstream: u16, app: &str) -> Self {
        let apps = format!(
            "application push {{ live on; push rtmp://127.0.0.1:{upstream} app={app}; }}\n\
             application pull {{ live on; wait_key off; publish_notify on;\n\
             pull rtmp://127.0.0.1:{upstream} app={app}; }}"
        );
        Self::start_nginx("nginx", dir, &apps)
    }

    /// How many connections the server has accepted and not closed, read from the kernel's
    /// table: the same question for every server.
    pub(crate) fn connections(&self) -> usize {
        let table = std::fs::read_to_string("/proc/net/tcp").expect("the kernel's TCP table");
        let local = format!("0100007F:{:04X}", self.port);
        let is_ours = |line: &&str| {
            let mut fields = line.split_whitespace().skip(1);
            fields.next() == Some(&*local) && fields.nth(1) == Some(ESTABLISHED)
        };
        table.lines().filter(is_ours).count()
    }

    /// The worker that served the client on this loopback port, from the line it wrote when the
    /// client left.
    pub(crate) fn worker_serving(&self, client_port: u16) -> Option<u32> {
        let mark = format!("] 127.0.0.1:{client_port} ");
        let log = self.log();
        let trace = log
            .lines()
            .find_map(|line| line.split_once(&mark)?.0.rsplit_once('['));
        worker_of(trace?.1)
    }

    /// Everything it logged so far.
    pub(crate) fn log(&self) -> String {
        let nginx = std::fs::read_to_string(&self.log_file).unwrap_or_default();
        self.child.stdout() + &self.child.stderr() + &nginx
    }

    /// Ends the server as an operator does and checks that it was in good health until then.
    /// Hands back everything it logged.
    pub(crate) fn stop(mut self) -> String {
        assert!(
            self.child.is_running(),
            "the server died\n{}",
            self.child.last_words()
        );
        self.child
            .signal(if is_reference() { "INT" } else { "TERM" });
        self.child.succeed_within(Duration::from_secs(8));
        let log = self.log();
        assert!(
            !log.contains("panicked"),
            "the server panicked\n{}",
            self.child.last_words()
        );
        log
    }

    fn start_nginx(name: &str, dir: &Path, apps: &str) -> Self {
        let port = free_port();
        let config = dir.join(format!("{name}.conf"));
        let at = |suffix: &str| dir.join(format!("{name}.{suffix}")).display().to_string();
        let text = format!(
            "load_module {NGINX_RTMP};\ndaemon off; master_process off; worker_processes 1;\n\
             error_log {} info; pid {};\nevents {{ worker_connections 256; }}\n\
             rtmp {{ server {{ listen 127.0.0.1:{port}; max_streams 64;\n{}\n}} }}\n",
            at("log"),
            at("pid"),
            apps
        );
        std::fs::write(&config, text).expect("nginx configuration");
        let mut command = Tool::Nginx.command();
        command
            .args(["-e", &at("log"), "-p"])
            .arg(dir)
            .arg("-c")
            .arg(&config);
        Self::await_ready(
            Child::start(name, dir, &mut command),
            port,
            at("log").into(),
        )
    }

    fn await_ready(mut child: Child, port: u16, log_file: PathBuf) -> Self {
        let deadline = Instant::now() + Duration::from_secs(5);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(
                child.is_running(),
                "the server did not start\n{}",
                child.last_words()
            );
            assert!(Instant::now() < deadline, "the server does not listen");
            sleep(Duration::from_millis(20));
        }
        Self {
            child,
            port,
            log_file,
        }
    }
}

/// Whether nginx stands in for the server under test.
pub(crate) fn is_reference() -> bool {
    std::env::var("CORECAST_INTEROP_SERVER").is_ok_and(|value| value == "nginx")
}

/// The local port of a process's connection to the server on `server_port`, from the kernel's
/// table.
pub(crate) fn client_port(process: u32, server_port: u16) -> Option<u16> {
    let files = std::fs::read_dir(format!("/proc/{process}/fd")).ok()?;
    let sockets: Vec<String> = files
        .filter_map(|file| std::fs::read_link(file.ok()?.path()).ok())
        .map(|target| target.display().to_string())
        .collect();
    let table = std::fs::read_to_string("/proc/net/tcp").ok()?;
    let server = format!("0100007F:{server_port:04X}");
    table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (local, remote, inode) = (fields.get(1)?, fields.get(2)?, fields.get(9)?);
        let is_it = *remote == server && sockets.contains(&format!("socket:[{inode}]"));
        u16::from_str_radix(local.rsplit_once(':')?.1, 16)
            .ok()
            .filter(|_| is_it)
    })
}

/// The worker in a connection's log name: 1 of `w1c7.9`.
pub(crate) fn worker_of(trace: &str) -> Option<u32> {
    trace.strip_prefix('w')?.split_once('c')?.0.parse().ok()
}

/// A port that is free, below the range from which the kernel serves outgoing connections, and
/// never handed out twice by this process: a port that somebody borrows between our look and the
/// server's bind would look like a broken server.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let seed = u16::try_from(std::process::id() % 97).expect("below 97") * 100;
    loop {
        let port = PORT_BASE + (seed + NEXT.fetch_add(1, Relaxed)) % PORTS;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

const PORT_BASE: u16 = 20_000;
const PORTS: u16 = 10_000;
const NGINX_RTMP: &str = "/usr/lib/nginx/modules/ngx_rtmp_module.so";
const REFERENCE_APPS: &str = "application live { live on; wait_key on; publish_notify on; }\n\
                              application a { live on; wait_key on; publish_notify on; }";
/// TCP_ESTABLISHED in `/proc/net/tcp`.
const ESTABLISHED: &str = "01";
