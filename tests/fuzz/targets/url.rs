//! Names and addresses as clients write them.
//!
//! Input: the lengths of app and tcUrl (0: absent), app, tcUrl, stream name.
//!
//! Laws: a name that gets out has 2 to 4 harmless parts and is found again however it is cut into
//! app and stream; nothing that is kept for logs holds a control character or outgrows its bound;
//! what a client makes of a URL, the server understands.

use corecast::rtmp::client;
use corecast::rtmp::url::{Address, escape};

use super::taker::Taker;

pub fn run(input: &[u8]) {
    let mut taker = Taker::new(input);
    let (app_len, url_len) = (usize::from(taker.u8()), usize::from(taker.u8()));
    let app = taker.bytes(app_len);
    let tc_url = taker.bytes(url_len);
    let stream = taker.rest;
    let given = |text| Some(text).filter(|text: &&[u8]| !text.is_empty());
    escaped(stream);
    dialled(&String::from_utf8_lossy(stream));
    let address = match Address::new(given(app), given(tc_url)) {
        Ok(address) => address,
        Err(error) => {
            printable(&error.to_string(), 400);
            return;
        }
    };
    kept(&address);
    match address.stream(stream) {
        Ok((name, query)) => {
            bounded_query(&query);
            named(name.as_str());
            assert_eq!(Some(name.app()), name.as_str().split('/').next());
            cut_anywhere(name.as_str());
        }
        Err(error) => printable(&error.to_string(), 400),
    }
}

fn kept(address: &Address) {
    assert!(address.app.is_empty() || address.app.split('/').all(is_part));
    assert!(address.app.split('/').count() <= 4);
    assert!(address.tc_url.len() <= 512);
    printable(&address.tc_url, 512);
    assert!(address.host.len() <= 255);
    let plain = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '.' | '-' | '_' | ':' | '%');
    assert!(address.host.chars().all(plain), "host {:?}", address.host);
    bounded_query(&address.query);
}

fn bounded_query(query: &str) {
    assert!(query.len() <= 4_096 && query.split('&').count() <= 64);
    printable(query, 4_096);
}

fn named(name: &str) {
    assert!((2..=4).contains(&name.split('/').count()), "{name:?}");
    assert!(name.split('/').all(is_part), "{name:?}");
}

fn is_part(part: &str) -> bool {
    let harmless = |c: char| matches!(c, 'A'..='Z' | 'a'..='z' | '0'..='9' | '_' | '.' | '-');
    (1..=128).contains(&part.len())
        && part.chars().all(harmless)
        && !part.starts_with('.')
        && !part.contains("..")
}

/// A name whose last part has neither a file type nor FMLE's own name: those are taken off once
/// each time they are read.
fn cut_anywhere(name: &str) {
    let parts: Vec<&str> = name.split('/').collect();
    let last = parts.last().copied().unwrap_or_default();
    let typed = [".flv", ".mp4", ".f4v", ".mp3"];
    if parts.contains(&"_definst_") || typed.iter().any(|suffix| last.ends_with(suffix)) {
        return;
    }
    for cut in 0..=parts.len() {
        let (app, stream) = parts.split_at(cut);
        let address = Address::new(Some(app.join("/").as_bytes()), None).unwrap();
        let (again, query) = address.stream(stream.join("/").as_bytes()).unwrap();
        assert_eq!(again.as_str(), name);
        assert!(query.is_empty());
    }
}

fn escaped(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for max in [0, 7, 64] {
        let shown = escape(&text, max);
        assert!(shown.len() <= max);
        printable(&shown, max);
    }
}

/// The client's own reading of a URL, and what the server makes of its tcUrl.
fn dialled(url: &str) {
    let address = match client::Address::parse(url) {
        Ok(address) => address,
        Err(error) => return printable(&error.to_string(), 400),
    };
    assert!(!address.host.is_empty() && !address.app.is_empty() && !address.stream.is_empty());
    assert!(address.port > 0);
    let tc_url = address.tc_url();
    if !address.password.is_empty() {
        assert_eq!(
            client::Address::parse(&format!("{tc_url}/x"))
                .unwrap()
                .password,
            ""
        );
    }
    if let Ok(named) = Address::new(Some(address.app.as_bytes()), Some(tc_url.as_bytes())) {
        kept(&named);
    }
}

fn printable(text: &str, max: usize) {
    assert!(text.len() <= max, "{} bytes, {max} allowed", text.len());
    assert!(
        !text.contains(char::is_control),
        "control character in {text:?}"
    );
}
