//! The lines a user sees first: where the server listens and what to type next.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use crate::config::Config;

/// The banner for a server that listens on `addresses`, its workers on the cores `pins`.
#[must_use]
pub fn banner(config: &Config, addresses: &[SocketAddr], pins: &[Option<usize>]) -> String {
    let Some(&first) = addresses.first() else {
        return String::new();
    };
    let app = config.apps.first().map_or("live", String::as_str);
    let server = format!("rtmp://{}/{app}", authority(reachable(first)));
    let all: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    format!(
        "Corecast {version}: RTMP on {all}, {workers}\n\
         \n  publish a test picture  ffmpeg -re -f lavfi -i testsrc2=size=1280x720:rate=30 \
         -f lavfi -i sine=frequency=440 -c:v libx264 -preset veryfast -tune zerolatency \
         -pix_fmt yuv420p -g 60 -c:a aac -f flv {server}/cam\
         \n  publish from OBS        Settings, Stream, Custom: server {server} stream key cam\
         \n  watch                   ffplay {server}/cam\
         \n  stop                    Ctrl-C lets players finish, a second Ctrl-C cuts\n",
        version = env!("CARGO_PKG_VERSION"),
        all = all.join(", "),
        workers = workers(pins),
    )
}

fn workers(pins: &[Option<usize>]) -> String {
    let cores: Vec<String> = pins.iter().flatten().map(ToString::to_string).collect();
    let count = match pins.len() {
        1 => "1 worker".to_owned(),
        many => format!("{many} workers"),
    };
    match cores.as_slice() {
        [] => count,
        [core] => format!("{count} on core {core}"),
        _ => format!("{count} on cores {}", cores.join(",")),
    }
}

/// An address that can be typed: for "every address", the one this host is reached by.
fn reachable(address: SocketAddr) -> SocketAddr {
    if !address.ip().is_unspecified() {
        return address;
    }
    SocketAddr::new(
        outward().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        address.port(),
    )
}

/// The address of the interface that leads outwards. Connecting a UDP socket sends nothing; the
/// targets are documentation addresses (RFC 5737, RFC 3849).
fn outward() -> Option<IpAddr> {
    let v4 = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 9));
    let v6 = SocketAddr::from((Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), 9));
    [v4, v6].into_iter().find_map(|target| {
        let any: SocketAddr = match target {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any).ok()?;
        socket.connect(target).ok()?;
        Some(socket.local_addr().ok()?.ip())
    })
}

/// Host and port as they stand in an address; RTMP's own port is left out.
fn authority(address: SocketAddr) -> String {
    match (address, address.port()) {
        (SocketAddr::V4(v4), RTMP_PORT) => v4.ip().to_string(),
        (SocketAddr::V6(v6), RTMP_PORT) => format!("[{}]", v6.ip()),
        (other, _) => other.to_string(),
    }
}

const RTMP_PORT: u16 = 1935;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_can_be_pasted_with_the_address_and_application_in_use() {
        let config = Config {
            apps: vec!["show".to_owned()],
            ..Config::default()
        };
        let v6 = ["[::1]:1936".parse().unwrap()];
        let text = banner(&config, &v6, &[Some(0), Some(1)]);
        assert!(
            text.contains("RTMP on [::1]:1936, 2 workers on cores 0,1\n"),
            "{text}"
        );
        assert!(
            text.contains("ffplay rtmp://[::1]:1936/show/cam\n"),
            "{text}"
        );
        let v4 = ["127.0.0.1:1935".parse().unwrap()];
        let text = banner(&config, &v4, &[None]);
        assert!(
            text.contains("server rtmp://127.0.0.1/show stream key cam"),
            "{text}"
        );
        assert!(text.contains(", 1 worker\n"), "{text}");
    }

    #[test]
    fn every_address_is_shown_as_one_that_can_be_reached() {
        let text = banner(&Config::default(), &["[::]:1935".parse().unwrap()], &[None]);
        assert!(
            !text.contains("rtmp://[::]") && !text.contains("rtmp://0.0.0.0"),
            "{text}"
        );
    }
}
