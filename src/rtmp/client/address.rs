//! `Address`: what an `rtmp://` URL tells a client: where to connect and what to ask for there.
//!
//! Invariant: `app` and the stream's path are never empty, and credentials are in no other field
//! than `user` and `password`, so nothing that is sent or logged can carry them.
//! PROTOCOL §7.2; the server's own reading of names is `rtmp::url`, not this.

use std::fmt;

/// A parsed `rtmp[s]://[user[:password]@]host[:port]/app[/inst]/stream[?query]`.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// `rtmps`: the connection starts with a TLS handshake.
    pub tls: bool,
    /// Name or address, an IPv6 literal without its brackets.
    pub host: String,
    /// 1..=65535, 1935 or 443 (TLS) when the URL names none.
    pub port: u16,
    /// Everything before the last part of the path: `live`, or `live/inst`.
    pub app: String,
    /// Last part of the path with the query, as a publish or play command names it.
    pub stream: String,
    /// User name as written (not percent-decoded); empty when there is none.
    pub user: String,
    /// Password as written; empty when there is none.
    pub password: String,
}

impl Address {
    /// Reads a URL.
    ///
    /// The last part of the path is the stream and all before it the application; the query is cut
    /// off first, so a `/` inside it splits nothing (librtmp and gst get that wrong, C-14).
    ///
    /// # Errors
    /// `AddressError` names the part that is missing or wrong.
    pub fn parse(url: &str) -> Result<Self, AddressError> {
        if url.len() > URL_BYTES_MAX {
            return Err(AddressError::TooLong {
                found: url.len(),
                allowed: URL_BYTES_MAX,
            });
        }
        let (scheme, rest) = url.split_once("://").ok_or(AddressError::Scheme)?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "rtmp" => false,
            "rtmps" => true,
            _ => return Err(AddressError::Scheme),
        };
        if rest.chars().any(|c| c.is_control() || c == ' ') {
            return Err(AddressError::BadCharacter);
        }
        let (authority, path) = rest.split_once('/').ok_or(AddressError::NoApp)?;
        let (login, place) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        let (host, port) = host_and_port(place, default_port(tls))?;
        let (app, stream) = app_and_stream(path)?;
        Ok(Self {
            tls,
            host: host.to_owned(),
            port,
            app: app.to_owned(),
            stream,
            user: user.to_owned(),
            password: password.to_owned(),
        })
    }

    /// The `tcUrl` of a connect command: scheme, host, port unless it is the default, application.
    #[must_use]
    pub fn tc_url(&self) -> String {
        let scheme = if self.tls { "rtmps" } else { "rtmp" };
        let (open, close) = if self.host.contains(':') {
            ("[", "]")
        } else {
            ("", "")
        };
        let port = if self.port == default_port(self.tls) {
            String::new()
        } else {
            format!(":{}", self.port)
        };
        format!("{scheme}://{open}{}{close}{port}/{}", self.host, self.app)
    }
}

/// Leaves the password and the stream's query (a token, often) out.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.stream.split('?').next().unwrap_or_default();
        write!(f, "{}/{name}", self.tc_url())
    }
}

/// Why a URL is not one a client can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Neither `rtmp://` nor `rtmps://`.
    #[error("the URL must begin with rtmp:// or rtmps://")]
    Scheme,
    /// No host before the port or the path.
    #[error("the URL names no host")]
    NoHost,
    /// The port is not a number of 1..=65535.
    #[error("the URL's port is not a number from 1 to 65535")]
    BadPort,
    /// `[` without `]`, or text between `]` and the port.
    #[error("the URL's IPv6 address is not closed by ]")]
    BadBrackets,
    /// Nothing after the host.
    #[error("the URL names no application")]
    NoApp,
    /// Only one part after the host.
    #[error("the URL names no stream after the application")]
    NoStream,
    /// A space or a control character.
    #[error("the URL contains a space or a control character")]
    BadCharacter,
    /// Longer than any server reads.
    #[error("the URL has {found} bytes, {allowed} are allowed")]
    TooLong {
        /// Bytes of the URL.
        found: usize,
        /// Most bytes a URL may have.
        allowed: usize,
    },
}

fn host_and_port(place: &str, default: u16) -> Result<(&str, u16), AddressError> {
    let (host, port) = if let Some(inner) = place.strip_prefix('[') {
        let (host, after) = inner.split_once(']').ok_or(AddressError::BadBrackets)?;
        match after.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if after.is_empty() => (host, None),
            None => return Err(AddressError::BadBrackets),
        }
    } else {
        match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        }
    };
    if host.is_empty() {
        return Err(AddressError::NoHost);
    }
    let port = match port {
        None => default,
        Some(text) => text
            .parse()
            .ok()
            .filter(|port| *port != 0)
            .ok_or(AddressError::BadPort)?,
    };
    Ok((host, port))
}

fn app_and_stream(path_and_query: &str) -> Result<(&str, String), AddressError> {
    let (path, query) = match path_and_query.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (path_and_query, None),
    };
    let path = path.trim_matches('/');
    if path.is_empty() {
        return Err(AddressError::NoApp);
    }
    let (app, stream) = path.rsplit_once('/').ok_or(AddressError::NoStream)?;
    let app = app.trim_end_matches('/');
    Ok((
        app,
        query.map_or_else(|| stream.to_owned(), |query| format!("{stream}?{query}")),
    ))
}

fn default_port(tls: bool) -> u16 {
    if tls { 443 } else { 1935 }
}

/// L-12: a tcUrl of 4 KiB is the longest that servers read.
const URL_BYTES_MAX: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_url_is_split_into_host_app_and_stream() {
        let address = Address::parse("rtmp://example.net/live/cam1").unwrap();
        assert_eq!(address.host, "example.net");
        assert_eq!(address.port, 1935);
        assert_eq!(address.app, "live");
        assert_eq!(address.stream, "cam1");
        assert_eq!(address.tc_url(), "rtmp://example.net/live");
    }

    #[test]
    fn an_instance_belongs_to_the_app_and_the_query_to_the_stream() {
        let address = Address::parse("rtmp://h:2000/live/inst/cam?token=a/b&x=1").unwrap();
        assert_eq!(address.app, "live/inst");
        assert_eq!(address.stream, "cam?token=a/b&x=1");
        assert_eq!(address.tc_url(), "rtmp://h:2000/live/inst");
    }

    #[test]
    fn an_ipv6_literal_loses_its_brackets_and_gets_them_back_in_the_tc_url() {
        let address = Address::parse("rtmp://[::1]:19350/a/b").unwrap();
        assert_eq!((address.host.as_str(), address.port), ("::1", 19350));
        assert_eq!(address.tc_url(), "rtmp://[::1]:19350/a");
    }

    #[test]
    fn credentials_appear_neither_in_the_tc_url_nor_in_debug_output() {
        let address = Address::parse("rtmp://usr:p@ss@h/live/cam?key=hidden").unwrap();
        assert_eq!(
            (address.user.as_str(), address.password.as_str()),
            ("usr", "p@ss")
        );
        assert_eq!(address.tc_url(), "rtmp://h/live");
        assert_eq!(format!("{address:?}"), "rtmp://h/live/cam");
    }

    #[test]
    fn rtmps_has_its_own_default_port() {
        let address = Address::parse("RTMPS://h/live/cam").unwrap();
        assert!(address.tls);
        assert_eq!(address.port, 443);
        assert_eq!(address.tc_url(), "rtmps://h/live");
    }

    #[test]
    fn every_missing_or_wrong_part_is_named() {
        let cases = [
            ("http://h/live/cam", AddressError::Scheme),
            ("h/live/cam", AddressError::Scheme),
            ("rtmp:///live/cam", AddressError::NoHost),
            ("rtmp://:1935/live/cam", AddressError::NoHost),
            ("rtmp://h:0/live/cam", AddressError::BadPort),
            ("rtmp://h:65536/live/cam", AddressError::BadPort),
            ("rtmp://h:19x/live/cam", AddressError::BadPort),
            ("rtmp://[::1/live/cam", AddressError::BadBrackets),
            ("rtmp://[::1]x/live/cam", AddressError::BadBrackets),
            ("rtmp://h", AddressError::NoApp),
            ("rtmp://h//", AddressError::NoApp),
            ("rtmp://h/live", AddressError::NoStream),
            ("rtmp://h/live/", AddressError::NoStream),
            ("rtmp://h/live/a b", AddressError::BadCharacter),
            ("rtmp://h/live/a\r\nb", AddressError::BadCharacter),
        ];
        for (url, error) in cases {
            assert_eq!(Address::parse(url).err(), Some(error), "{url:?}");
        }
        let long = format!("rtmp://h/live/{}", "x".repeat(URL_BYTES_MAX));
        assert!(matches!(
            Address::parse(&long),
            Err(AddressError::TooLong { .. })
        ));
    }
}
