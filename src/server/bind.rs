//! Listeners: one per address and worker, on one port through `SO_REUSEPORT`.
//!
//! Invariant: either every address is bound for every worker, or nothing is: an error names the
//! address and the reason.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// Listeners of a whole process.
#[derive(Debug)]
pub struct Bound {
    /// Listeners of each worker, in the order of `addresses`.
    pub workers: Vec<Vec<TcpListener>>,
    /// What is listened on, with port 0 replaced by the port found.
    pub addresses: Vec<SocketAddr>,
}

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("--rtmp {address}: {}", explain(.reason))]
pub struct BindError {
    /// The address asked for.
    pub address: SocketAddr,
    /// What the system said.
    pub reason: io::Error,
}

/// Binds every address once per worker.
///
/// # Errors
/// The first address that is taken, forbidden or not of this machine.
pub fn bind(addresses: &[SocketAddr], workers: usize) -> Result<Bound, BindError> {
    let mut usable = Vec::with_capacity(addresses.len());
    for &address in addresses {
        let family = reachable_family(address);
        claim(family).map_err(|reason| BindError {
            address: family,
            reason,
        })?;
        usable.push(family);
    }
    let mut bound = Bound {
        workers: (0..workers).map(|_| Vec::new()).collect(),
        addresses: Vec::with_capacity(usable.len()),
    };
    for address in usable {
        let mut found = address;
        for listeners in &mut bound.workers {
            let listener = listen(found).map_err(|reason| BindError { address, reason })?;
            found = listener
                .local_addr()
                .map_err(|reason| BindError { address, reason })?;
            listeners.push(listener);
        }
        bound.addresses.push(found);
    }
    Ok(bound)
}

/// `[::]` on a host without IPv6 means its IPv4 addresses.
fn reachable_family(address: SocketAddr) -> SocketAddr {
    let any_v6 = address.is_ipv6() && address.ip().is_unspecified();
    if any_v6 && Socket::new(Domain::IPV6, Type::STREAM, None).is_err() {
        return SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port());
    }
    address
}

/// Fails when anybody listens there already. `SO_REUSEPORT` alone would share the port with a
/// second server of the same user, and each would get half of the connections.
fn claim(address: SocketAddr) -> io::Result<()> {
    match address.port() {
        0 => Ok(()),
        _ => socket(address)?.bind(&address.into()),
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(address)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    // A restart finds its old connections in TIME_WAIT (RELIABILITY F5).
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// The system's reason in words that say what to do.
fn explain(reason: &io::Error) -> String {
    let hint = match reason.kind() {
        io::ErrorKind::AddrInUse => "another program listens there; stop it or choose another port",
        io::ErrorKind::AddrNotAvailable => "no interface of this machine has this address",
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need root or CAP_NET_BIND_SERVICE; choose a higher one"
        }
        _ => return reason.to_string(),
    };
    format!("{reason}: {hint}")
}

/// Connections the kernel keeps for a worker that is busy.
const BACKLOG: i32 = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    fn any_port() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 0))
    }

    #[test]
    fn every_worker_listens_on_the_same_port() {
        let bound = bind(&[any_port()], 3).unwrap();
        assert_eq!(bound.workers.len(), 3);
        for listeners in &bound.workers {
            assert_eq!(listeners[0].local_addr().unwrap(), bound.addresses[0]);
        }
        assert_ne!(bound.addresses[0].port(), 0);
    }

    #[test]
    fn a_second_server_is_refused_although_the_first_shares_its_port_among_workers() {
        let first = bind(&[any_port()], 2).unwrap();
        let error = bind(&first.addresses, 2).unwrap_err();
        assert_eq!(error.reason.kind(), io::ErrorKind::AddrInUse);
        let told = error.to_string();
        assert!(
            told.starts_with(&format!("--rtmp {}: ", first.addresses[0])),
            "{told}"
        );
        assert!(told.contains("another program listens there"), "{told}");
    }

    #[test]
    fn a_port_is_free_again_as_soon_as_its_server_is_gone() {
        let first = bind(&[any_port()], 2).unwrap();
        let address = first.addresses[0];
        let client = std::net::TcpStream::connect(address).unwrap();
        drop(first);
        bind(&[address], 2).unwrap();
        drop(client);
    }

    #[test]
    fn a_privileged_port_and_a_foreign_address_say_what_to_do() {
        let told = |kind: io::ErrorKind| explain(&kind.into());
        assert!(told(io::ErrorKind::PermissionDenied).contains("ports below 1024"));
        let foreign = SocketAddr::from(([192, 0, 2, 1], 1_935));
        let error = bind(&[foreign], 1).unwrap_err().to_string();
        assert!(error.contains("no interface of this machine"), "{error}");
    }
}
