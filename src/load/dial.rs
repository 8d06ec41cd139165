//! Outgoing connections by the thousand: source addresses, and which limit would stop them.
//!
//! Invariant: no source address is given more connections than it has ports, so a run that starts
//! does not fail half-way for want of them.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use mio::net::TcpStream;
use socket2::{Domain, Protocol, Socket, Type};

/// Where all connections go, and where each comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialer {
    /// The server.
    pub target: SocketAddr,
    /// Connections from one source address.
    per_source: u32,
}

impl Dialer {
    /// Checks that `connections` can be made and raises the limit of open files for them.
    ///
    /// # Errors
    /// The limit that would stop the run.
    pub fn prepare(target: SocketAddr, connections: u32) -> Result<Self, Limit> {
        let open_files = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(0);
        let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
        Self::within(
            target,
            connections,
            open_files,
            ports(&range.unwrap_or_default()),
        )
    }

    fn within(
        target: SocketAddr,
        connections: u32,
        open_files: u64,
        ports: u32,
    ) -> Result<Self, Limit> {
        let needed = u64::from(connections) + OTHER_FILES;
        if needed > open_files {
            return Err(Limit::Descriptors {
                connections,
                needed,
                allowed: open_files,
            });
        }
        // A few ports are always in use by others or in TIME-WAIT.
        let per_source = (ports / 10 * 9).max(1);
        let sources = if is_loopback_v4(&target) {
            SOURCES_MAX
        } else {
            1
        };
        if connections.div_ceil(per_source) > sources {
            return Err(Limit::Ports {
                connections,
                per_source,
                sources,
            });
        }
        Ok(Self { target, per_source })
    }

    /// Begins connection number `n` of the run.
    ///
    /// # Errors
    /// What the kernel says, but for "in progress".
    pub fn dial(&self, n: u32) -> io::Result<TcpStream> {
        let domain = Domain::for_address(self.target);
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        if let Some(source) = self.source(n) {
            socket.bind(&SocketAddr::from((source, 0)).into())?;
        }
        match socket.connect(&self.target.into()) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(IN_PROGRESS) => {}
            Err(error) => return Err(error),
        }
        Ok(TcpStream::from_std(socket.into()))
    }

    /// The first connections come from wherever the kernel likes, later ones from 127.0.1.1 on.
    fn source(&self, n: u32) -> Option<Ipv4Addr> {
        let block = n / self.per_source;
        let [.., third, fourth] = block.to_be_bytes();
        (block > 0).then_some(Ipv4Addr::new(127, 0, 1 + third, fourth))
    }
}

/// What stops a run before it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Limit {
    /// Open files of this process.
    #[error(
        "{connections} connections need {needed} open files, {allowed} are allowed here; raise \
         the limit (ulimit -Hn) or make fewer"
    )]
    Descriptors {
        /// Connections wanted.
        connections: u32,
        /// Descriptors they need.
        needed: u64,
        /// The hard limit.
        allowed: u64,
    },
    /// Local ports.
    #[error(
        "{connections} connections need more local ports than there are: {per_source} for each \
         of {sources} source addresses (net.ipv4.ip_local_port_range)"
    )]
    Ports {
        /// Connections wanted.
        connections: u32,
        /// Ports of one address.
        per_source: u32,
        /// Source addresses that can be used with this server's address.
        sources: u32,
    },
    /// Open files of the server.
    #[error("{connections} connections are more than the {allowed} open files of the server")]
    Server {
        /// Connections wanted.
        connections: u32,
        /// The server's limit.
        allowed: u64,
    },
}

fn is_loopback_v4(target: &SocketAddr) -> bool {
    matches!(target.ip(), IpAddr::V4(ip) if ip.is_loopback())
}

/// How many ports `"32768\t60999"` means.
fn ports(range: &str) -> u32 {
    let mut ends = range.split_whitespace().map(str::parse::<u32>);
    match (ends.next(), ends.next()) {
        (Some(Ok(low)), Some(Ok(high))) if high >= low => high - low + 1,
        _ => PORTS,
    }
}

/// `EINPROGRESS` on Linux.
const IN_PROGRESS: i32 = 115;
/// Standard streams, event queues, files of /proc.
const OTHER_FILES: u64 = 32;
/// Addresses of 127.0.0.0/8 used at most: far more than descriptors.
const SOURCES_MAX: u32 = 200;
/// Linux's own range, where it cannot be read.
const PORTS: u32 = 28_232;

#[cfg(test)]
mod tests {
    use super::*;

    fn target(ip: &str) -> SocketAddr {
        SocketAddr::new(ip.parse().unwrap(), 1935)
    }

    #[test]
    fn too_few_descriptors_stop_a_run_before_it_begins() {
        let found = Dialer::within(target("127.0.0.1"), 10_000, 10_000, 28_000);
        let limit = Limit::Descriptors {
            connections: 10_000,
            needed: 10_032,
            allowed: 10_000,
        };
        assert_eq!(found, Err(limit));
        assert!(limit.to_string().contains("open files"));
    }

    #[test]
    fn past_the_ports_of_one_address_others_of_127_are_used() {
        let dialer = Dialer::within(target("127.0.0.1"), 60_000, 70_000, 28_000).unwrap();
        assert_eq!(dialer.source(0), None);
        assert_eq!(dialer.source(25_199), None);
        assert_eq!(dialer.source(25_200), Some(Ipv4Addr::new(127, 0, 1, 1)));
        assert_eq!(dialer.source(59_999), Some(Ipv4Addr::new(127, 0, 1, 2)));
    }

    #[test]
    fn elsewhere_the_ports_of_one_address_are_the_limit() {
        let many = |ip| Dialer::within(target(ip), 30_000, 70_000, 28_000);
        assert!(matches!(many("::1"), Err(Limit::Ports { sources: 1, .. })));
        assert!(matches!(many("192.0.2.1"), Err(Limit::Ports { .. })));
        assert!(many("127.0.0.9").is_ok());
    }

    #[test]
    fn the_port_range_is_read_or_assumed() {
        assert_eq!(ports("32768\t60999\n"), 28_232);
        assert_eq!(ports("5 4"), PORTS);
        assert_eq!(ports(""), PORTS);
    }
}
