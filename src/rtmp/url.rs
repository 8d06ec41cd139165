//! Application, stream name and tcUrl of a client, normalised once to one stream name.
//!
//! Invariant: clients given the same URL end at the same [`StreamName`], whichever way they cut
//! it into app and stream (C-13); a name that gets out of here has 2 to 4 parts of harmless
//! characters. PROTOCOL C-13 to C-15, C-61; INTEROP 22 to 26; names: RELIABILITY §4.

use thiserror::Error;

use crate::ids::StreamName;

/// What `connect` said about the place: the app and the tcUrl.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Address {
    /// Normalised application path without query; may be empty, then the stream name must hold
    /// the application too.
    pub app: String,
    /// `tcUrl` without query and user info, escaped, at most 512 bytes; empty when absent.
    pub tc_url: String,
    /// Host in `tcUrl`, lower case, without port; empty when absent or odd.
    pub host: String,
    /// Query of app, then of `tcUrl`, without `?`.
    pub query: String,
}

impl Address {
    /// Normalises what `connect` carried; `None` for what was absent or no string.
    ///
    /// # Errors
    /// A part of the app breaks the rule for names.
    pub fn new(app: Option<&[u8]>, tc_url: Option<&[u8]>) -> Result<Self, NameError> {
        let url = Url::parse(tc_url.unwrap_or_default());
        let app = String::from_utf8_lossy(app.unwrap_or_default());
        let (path, query) = split_query(trim(&app));
        // Without app the tcUrl's path is all there is to go by (C-10).
        let path = if path.is_empty() { &url.path } else { path };
        let mut parts = Vec::new();
        push_parts(&mut parts, path)?;
        Ok(Self {
            app: parts.join("/"),
            query: merge_queries(&[query, &url.query]),
            tc_url: url.shown,
            host: url.host,
        })
    }

    /// The stream that `name`, as given to publish or play, means here, and all query together;
    /// what the stream name says wins over app and tcUrl (C-14).
    ///
    /// # Errors
    /// The name breaks the rule for names.
    pub fn stream(&self, name: &[u8]) -> Result<(StreamName, String), NameError> {
        let name = String::from_utf8_lossy(name);
        let (path, query) = split_query(trim(&name));
        let mut parts = Vec::new();
        push_parts(&mut parts, &self.app)?;
        push_parts(&mut parts, strip_file_type(path))?;
        if parts.len() < 2 {
            return Err(NameError::Incomplete);
        }
        let name = StreamName::new(&parts.join("/"));
        Ok((name, merge_queries(&[query, &self.query])))
    }
}

/// Why a name cannot be used. The text is a sentence for the broadcaster.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NameError {
    /// Fewer than two parts.
    #[error("the address needs an application and a stream name, like rtmp://host/live/camera")]
    Incomplete,
    /// Too many parts between slashes.
    #[error("application and stream name have more than {max} parts between slashes")]
    TooManyParts {
        /// Most parts of a whole name.
        max: usize,
    },
    /// A part is too long.
    #[error("the name {part:?}... has {found} characters, {max} are allowed")]
    TooLong {
        /// Start of the part.
        part: String,
        /// Its length in characters.
        found: usize,
        /// Longest part.
        max: usize,
    },
    /// A character outside the allowed set.
    #[error(
        "character {place} of the name {part:?} is {character:?}; \
         allowed are A to Z, a to z, 0 to 9, '_', '-' and '.'"
    )]
    Character {
        /// The part, shortened to 32 characters.
        part: String,
        /// The character.
        character: char,
        /// Which one it is, counted from 1.
        place: usize,
    },
    /// A part that begins with a dot or contains two in a row.
    #[error("the name {part:?} may neither begin with a dot nor contain two dots in a row")]
    Dots {
        /// The part, shortened to 32 characters.
        part: String,
    },
}

/// The pieces of a tcUrl. Anything odd is simply left out: only the app decides (C-15).
#[derive(Default)]
struct Url {
    path: String,
    query: String,
    host: String,
    shown: String,
}

impl Url {
    fn parse(bytes: &[u8]) -> Self {
        let bytes = bytes.get(..URL_BYTES_MAX).unwrap_or(bytes);
        let text = String::from_utf8_lossy(bytes);
        let (place, query) = split_query(trim(&text));
        let Some((scheme, rest)) = place.split_once("://") else {
            return Self::default();
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        // User info is a credential: neither shown nor kept.
        let authority = authority.rsplit('@').next().unwrap_or(authority);
        Self {
            path: path.to_owned(),
            query: query.to_owned(),
            host: host_of(authority),
            shown: escape(
                format!("{scheme}://{authority}/{path}").trim_end_matches('/'),
                SHOWN_BYTES_MAX,
            ),
        }
    }
}

/// `text` with control characters and quotes escaped, at most `max` bytes: fit for a log line.
#[must_use]
pub fn escape(text: &str, max: usize) -> String {
    let mut shown = String::new();
    for character in text.chars() {
        let before = shown.len();
        shown.extend(character.escape_debug());
        if shown.len() > max {
            shown.truncate(before);
            break;
        }
    }
    shown
}

/// Quotes and white space around a value are never part of it (INTEROP 22).
fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\''))
}

/// Path and query; the query starts at the first `?` or `#` (INTEROP 24).
fn split_query(text: &str) -> (&str, &str) {
    text.split_once(['?', '#']).unwrap_or((text, ""))
}

/// ffmpeg turns `x.mp4` into `mp4:x.mp4`, librtmp into `mp4:x`, both turn `x.flv` into `x`; OBS
/// and gst send what the user typed. All mean the same live stream (C-61, INTEROP 26).
fn strip_file_type(name: &str) -> &str {
    let bare = FILE_PREFIXES
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix))
        .unwrap_or(name);
    FILE_SUFFIXES
        .iter()
        .find_map(|suffix| bare.strip_suffix(suffix))
        .unwrap_or(bare)
}

/// Appends the parts of `path`, checked. Empty parts are skipped: a doubled or trailing slash
/// means nothing; so is FMLE's instance name.
fn push_parts<'a>(parts: &mut Vec<&'a str>, path: &'a str) -> Result<(), NameError> {
    for part in path.split('/') {
        if part.is_empty() || part == DEFAULT_INSTANCE {
            continue;
        }
        check_part(part)?;
        if parts.len() == PARTS_MAX {
            return Err(NameError::TooManyParts { max: PARTS_MAX });
        }
        parts.push(part);
    }
    Ok(())
}

fn check_part(part: &str) -> Result<(), NameError> {
    let shown = || part.chars().take(32).collect::<String>();
    let strange =
        |&(_, c): &(usize, char)| !matches!(c, 'A'..='Z' | 'a'..='z' | '0'..='9' | '_' | '.' | '-');
    if let Some((index, character)) = part.chars().enumerate().find(strange) {
        return Err(NameError::Character {
            part: shown(),
            character,
            place: index + 1,
        });
    }
    if part.starts_with('.') || part.contains("..") {
        return Err(NameError::Dots { part: shown() });
    }
    if part.len() > PART_CHARS_MAX {
        return Err(NameError::TooLong {
            part: shown(),
            found: part.len(),
            max: PART_CHARS_MAX,
        });
    }
    Ok(())
}

/// Host of `host`, `host:port`, `[v6]` or `[v6]:port`.
fn host_of(authority: &str) -> String {
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
    if host.len() > 255 || !host.chars().all(plain) {
        return String::new();
    }
    host.to_ascii_lowercase()
}

/// All `key=value` pairs, the first source that has a key wins. Pairs with control characters
/// are left out. Inner question marks separate too: some tools append a second query.
fn merge_queries(sources: &[&str]) -> String {
    let mut merged = String::new();
    let mut keys: Vec<&str> = Vec::new();
    for source in sources {
        let known = keys.len();
        for pair in source.split(['&', '?']) {
            let key = pair.split('=').next().unwrap_or_default();
            let earlier = keys.get(..known).unwrap_or_default();
            if pair.is_empty() || earlier.contains(&key) || pair.chars().any(char::is_control) {
                continue;
            }
            if keys.len() == PAIRS_MAX || merged.len() + pair.len() + 1 > QUERY_BYTES_MAX {
                return merged;
            }
            if !merged.is_empty() {
                merged.push('&');
            }
            merged.push_str(pair);
            keys.push(key);
        }
    }
    merged
}

/// Parts of a whole name: librtmp cuts `a/b/c/d` behind the third (C-13).
const PARTS_MAX: usize = 4;
/// Characters of one part.
const PART_CHARS_MAX: usize = 128;
/// Bytes of a tcUrl that are looked at (L-12).
const URL_BYTES_MAX: usize = 4_096;
/// Bytes of a tcUrl kept for logs.
const SHOWN_BYTES_MAX: usize = 512;
/// Bytes of the merged query.
const QUERY_BYTES_MAX: usize = 4_096;
/// Pairs of the merged query; bounds the search for earlier keys.
const PAIRS_MAX: usize = 64;
/// FMLE names the default instance (INTEROP 23).
const DEFAULT_INSTANCE: &str = "_definst_";
const FILE_PREFIXES: [&str; 3] = ["mp4:", "flv:", "mp3:"];
const FILE_SUFFIXES: [&str; 4] = [".flv", ".mp4", ".f4v", ".mp3"];

#[cfg(test)]
mod tests {
    use super::*;

    fn name(app: &str, stream: &str) -> Result<String, NameError> {
        let address = Address::new(Some(app.as_bytes()), None)?;
        let (name, _) = address.stream(stream.as_bytes())?;
        Ok(name.as_str().to_owned())
    }

    fn query(app: &str, tc_url: &str, stream: &str) -> String {
        let address = Address::new(Some(app.as_bytes()), Some(tc_url.as_bytes())).unwrap();
        address.stream(stream.as_bytes()).unwrap().1
    }

    #[test]
    fn t9_the_same_url_gives_the_same_name_however_the_client_cuts_it() {
        let cases = [
            ("a/b", "c/d", "a/b/c/d"),             // ffmpeg
            ("a/b/c", "d", "a/b/c/d"),             // librtmp, gst
            ("a/b/c/d", "", "a/b/c/d"),            // OBS without stream key
            ("", "a/b/c/d", "a/b/c/d"),            // everything in the stream name
            ("live", "cam", "live/cam"),           // everybody
            ("live/", "cam", "live/cam"),          // trailing slash
            ("/live", "/cam/", "live/cam"),        // slashes all over
            ("live/_definst_", "cam", "live/cam"), // FMLE
            ("live", "_definst_/cam", "live/cam"), // ffmpeg given the FMLE URL
            ("\"live\"", " cam\n", "live/cam"),    // quoted on the way
            ("live?vhost=x", "cam", "live/cam"),
            ("live", "cam?token=a/b", "live/cam"),
            ("live", "cam#token", "live/cam"),
            ("live/cam?k=v", "?k=v", "live/cam"), // OBS multi-rendition
        ];
        for (app, stream, expected) in cases {
            assert_eq!(
                name(app, stream).as_deref(),
                Ok(expected),
                "{app:?} + {stream:?}"
            );
        }
    }

    #[test]
    fn file_types_that_clients_add_or_strip_are_not_part_of_the_name() {
        // URL rtmp://h/live/x.mp4: ffmpeg, librtmp, OBS; then .flv by ffmpeg and by OBS.
        for stream in [
            "mp4:x.mp4",
            "mp4:x",
            "x.mp4",
            "x",
            "x.flv",
            "flv:x",
            "mp3:x",
            "x.f4v",
        ] {
            assert_eq!(name("live", stream).as_deref(), Ok("live/x"), "{stream:?}");
        }
        assert_eq!(name("live", "v1.2").as_deref(), Ok("live/v1.2"));
    }

    #[test]
    fn query_is_collected_from_all_three_places_and_the_stream_name_wins() {
        assert_eq!(
            query("live?a=1&b=1", "rtmp://h/live?a=2&c=2", "cam?b=3&d=%2f"),
            "b=3&d=%2f&a=1&c=2"
        );
        assert_eq!(query("live?a=1?b=2", "", "cam"), "a=1&b=2");
        assert_eq!(query("live", "", "cam?a=1&a=2"), "a=1&a=2");
        assert_eq!(query("live", "", "cam?a=1&b=\n2&c=3"), "a=1&c=3");
    }

    #[test]
    fn a_query_is_bounded_in_bytes_and_pairs() {
        let long = format!("cam?a=1&b={}", "x".repeat(10_000));
        assert_eq!(query("live", "", &long), "a=1");
        let many = format!("cam?{}", "a&".repeat(10_000));
        assert_eq!(query("live", "", &many).len(), 2 * PAIRS_MAX - 1);
    }

    #[test]
    fn a_name_needs_two_parts() {
        for (app, stream) in [("live", ""), ("", "cam"), ("", ""), ("/", "?k=v")] {
            assert_eq!(
                name(app, stream),
                Err(NameError::Incomplete),
                "{app:?} + {stream:?}"
            );
        }
    }

    #[test]
    fn the_fifth_part_is_one_too_many() {
        assert_eq!(
            name("a/b", "c/d/e"),
            Err(NameError::TooManyParts { max: 4 })
        );
    }

    #[test]
    fn hostile_names_are_refused_before_a_path_is_built() {
        let hostile = [
            "../../etc/x",
            "a/../../b",
            "\\..\\",
            "%2e%2e",
            "a\0b",
            "a\nb",
            "*",
            "cam 1",
            "..",
            ".hidden",
            "a..b",
            "\u{1F3A5}",
            "k\u{e4}mera",
        ];
        for stream in hostile {
            let refused = name("live", stream);
            assert!(
                matches!(
                    refused,
                    Err(NameError::Character { .. } | NameError::Dots { .. })
                ),
                "{stream:?}: {refused:?}"
            );
        }
        let long = "x".repeat(129);
        assert!(matches!(
            name("live", &long),
            Err(NameError::TooLong {
                found: 129,
                max: 128,
                ..
            })
        ));
        assert!(name("live", &long[1..]).is_ok());
    }

    #[test]
    fn a_refused_name_says_which_character_at_which_place() {
        let refused = name("live", "k\u{e4}mera 1").unwrap_err();
        assert_eq!(
            refused.to_string(),
            "character 2 of the name \"k\u{e4}mera 1\" is '\u{e4}'; \
             allowed are A to Z, a to z, 0 to 9, '_', '-' and '.'"
        );
        let not_text = Address::default().stream(b"live/\xFF").unwrap_err();
        assert!(not_text.to_string().contains("character 1"), "{not_text}");
    }

    #[test]
    fn the_tc_url_gives_host_and_a_path_for_those_without_app() {
        let cases: [(&str, &str, &str); 8] = [
            ("rtmp://Example.com:1935/live", "example.com", "live"),
            ("\"rtmp://h/live/\"", "h", "live"),
            ("rtmps://user:pw@h/live?x=1", "h", "live"),
            ("rtmp://[::1]:1935/live", "::1", "live"),
            ("rtmp://h", "h", ""),
            ("rtmp://h?vhost=x?y", "h", ""),
            ("nonsense", "", ""),
            ("rtmp://h\r\nx/live", "", "live"),
        ];
        for (tc_url, host, app) in cases {
            let address = Address::new(None, Some(tc_url.as_bytes())).unwrap();
            assert_eq!((&*address.host, &*address.app), (host, app), "{tc_url:?}");
        }
    }

    #[test]
    fn what_is_shown_of_a_tc_url_has_no_secret_and_no_control_character() {
        let shown = |tc_url: &str| {
            Address::new(Some(b"live"), Some(tc_url.as_bytes()))
                .unwrap()
                .tc_url
        };
        assert_eq!(shown("rtmp://u:pw@h/live?key=secret"), "rtmp://h/live");
        assert_eq!(shown("rtmp://h/li\r\nve"), "rtmp://h/li\\r\\nve");
        assert!(shown(&format!("rtmp://h/{}", "x\n".repeat(70_000))).len() <= SHOWN_BYTES_MAX);
    }
}
