//! `Source`: one file as the rules see it: its text, its tokens, and what of them is test code.
//!
//! Invariant: `is_test` and `inline_mods` have one entry for each token.

use super::Violation;
use super::lexer::{Token, tokens};

/// One `.rs` file.
pub(crate) struct Source {
    /// From the root of the package, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) tokens: Vec<Token>,
    /// Whether the token is compiled for tests only.
    pub(crate) is_test: Vec<bool>,
    /// How many `mod name { … }` of this file the token is inside of.
    pub(crate) inline_mods: Vec<usize>,
    /// Modules this file declares for tests only and that are files of their own.
    test_mods: Vec<String>,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let tokens = tokens(text);
        let mut source = Self {
            path: path.to_owned(),
            text: text.to_owned(),
            is_test: vec![false; tokens.len()],
            inline_mods: vec![0; tokens.len()],
            test_mods: Vec::new(),
            tokens,
        };
        for at in 0..source.tokens.len() {
            source.mark(at);
        }
        source
    }

    pub(crate) fn violation(&self, line: usize, rule: impl Into<String>) -> Violation {
        Violation {
            file: self.path.clone(),
            line,
            rule: rule.into(),
        }
    }

    /// The token at `at`; empty beyond the end.
    pub(crate) fn word(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| &token.text)
    }

    /// Whether the tokens from `at` on are these, written with spaces between them.
    pub(crate) fn reads(&self, at: usize, words: &str) -> bool {
        words
            .split(' ')
            .enumerate()
            .all(|(n, word)| self.word(at + n) == word)
    }

    pub(crate) fn line(&self, at: usize) -> usize {
        self.tokens.get(at).map_or(1, |token| token.line)
    }

    /// `rtmp/chunk/reader` for `src/rtmp/chunk/reader.rs`.
    pub(crate) fn place(&self) -> &str {
        let path = self.path.strip_prefix("src/").unwrap_or(&self.path);
        path.strip_suffix(".rs").unwrap_or(path)
    }

    /// Name of the floor plan's module: `rtmp` for everything in `src/rtmp`.
    pub(crate) fn module(&self) -> &str {
        self.place().split('/').next().unwrap_or_default()
    }

    /// Parts of the file's own module path: 1 for `src/wheel.rs` and for `src/mesh/mod.rs`.
    pub(crate) fn depth(&self) -> usize {
        let place = self.place();
        let place = place.strip_suffix("/mod").unwrap_or(place);
        place
            .split('/')
            .filter(|part| !["lib", "main"].contains(part))
            .count()
    }

    /// Where the item at `at` ends: its closing brace or its semicolon.
    pub(crate) fn item_end(&self, at: usize) -> usize {
        let mut brackets = 0_usize;
        for (n, token) in self.tokens.iter().enumerate().skip(at) {
            match token.text.as_str() {
                "(" | "[" => brackets += 1,
                ")" | "]" => brackets = brackets.saturating_sub(1),
                ";" if brackets == 0 => return n,
                "{" if brackets == 0 => return self.block_end(n),
                _ => {}
            }
        }
        self.tokens.len().saturating_sub(1)
    }

    /// The brace that closes the one at `open`.
    fn block_end(&self, open: usize) -> usize {
        let mut depth = 0_usize;
        for (n, token) in self.tokens.iter().enumerate().skip(open) {
            match token.text.as_str() {
                "{" => depth += 1,
                "}" if depth == 1 => return n,
                "}" => depth -= 1,
                _ => {}
            }
        }
        self.tokens.len().saturating_sub(1)
    }

    fn mark(&mut self, at: usize) {
        if self.reads(at, "# ! [ cfg ( test ) ]") {
            self.is_test.fill(true);
        } else if self.reads(at, "# [ cfg ( test ) ]") || self.reads(at, "# [ cfg ( all ( test") {
            let end = self.item_end(at);
            let item = self.is_test.get_mut(at..=end).unwrap_or_default();
            item.fill(true);
            if self.word(end) == ";" && self.reads(end - 2, "mod") {
                self.test_mods.push(self.word(end - 1).to_owned());
            }
        } else if self.word(at) == "mod" && self.word(at + 2) == "{" {
            let end = self.block_end(at + 2);
            let inside = self.inline_mods.get_mut(at + 2..=end).unwrap_or_default();
            inside.iter_mut().for_each(|mods| *mods += 1);
        }
    }

    /// The folder that holds the files of this file's own modules, with `/` at its end.
    fn folder(&self) -> String {
        let (folder, name) = self.path.rsplit_once('/').unwrap_or(("", &self.path));
        match name {
            "mod.rs" | "lib.rs" | "main.rs" => format!("{folder}/"),
            _ => format!("{}/", self.path.trim_end_matches(".rs")),
        }
    }
}

/// Marks the files that are the body of a `#[cfg(test)] mod name;` elsewhere.
pub(crate) fn mark_test_files(sources: &mut [Source]) {
    let homes: Vec<String> = sources
        .iter()
        .flat_map(|s| {
            s.test_mods
                .iter()
                .map(|name| format!("{}{name}", s.folder()))
        })
        .collect();
    for source in sources {
        let is_home = |home: &String| {
            source
                .path
                .strip_prefix(home.as_str())
                .is_some_and(|rest| rest.starts_with(['.', '/']))
        };
        if homes.iter().any(is_home) {
            source.is_test.fill(true);
        }
    }
}

#[test]
fn a_test_module_is_test_code_and_what_follows_it_is_not() {
    let source = Source::new("src/a.rs", "x #[cfg(test)] mod t { fn y() { z } } w");
    let test: Vec<&str> = (0..source.tokens.len())
        .filter(|at| source.is_test[*at] && source.tokens[*at].is_word())
        .map(|at| source.word(at))
        .collect();
    assert_eq!(test, ["cfg", "test", "mod", "t", "fn", "y", "z"]);
}

#[test]
fn the_file_of_a_test_module_is_test_code_from_end_to_end() {
    let mut sources = [
        "src/m/port.rs",
        "src/m/port/tests.rs",
        "src/m/port/tests2.rs",
    ]
    .map(|path| Source::new(path, "#[cfg(test)] mod tests; use x::y;"));
    mark_test_files(&mut sources);
    let last = sources.map(|source| source.is_test.last().copied());
    assert_eq!(last, [Some(false), Some(true), Some(false)]);
}

#[test]
fn a_place_in_the_tree_gives_module_and_depth() {
    let of = |path: &str| {
        let source = Source::new(path, "");
        (source.module().to_owned(), source.depth())
    };
    assert_eq!(of("src/wheel.rs"), ("wheel".to_owned(), 1));
    assert_eq!(of("src/rtmp/mod.rs"), ("rtmp".to_owned(), 1));
    assert_eq!(of("src/rtmp/chunk/reader.rs"), ("rtmp".to_owned(), 3));
    assert_eq!(of("src/lib.rs"), ("lib".to_owned(), 0));
}
