//! Rust source → words and punctuation with their lines; comments and literals fall away.
//!
//! Invariant: what is inside a comment, a string or a character never becomes a token, so a rule
//! cannot be broken by talking about it.

use std::iter::Peekable;
use std::str::Chars;

/// A word, a number, `::`, or one character of punctuation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) text: String,
    /// Counted from 1.
    pub(crate) line: usize,
}

impl Token {
    pub(crate) fn is_word(&self) -> bool {
        self.text
            .starts_with(|c: char| c.is_alphabetic() || c == '_')
    }
}

/// All tokens of `text`, which need not compile.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let mut lexer = Lexer {
        rest: text.chars().peekable(),
        line: 1,
        found: Vec::new(),
    };
    while let Some(c) = lexer.next() {
        lexer.step(c);
    }
    lexer.found
}

struct Lexer<'a> {
    rest: Peekable<Chars<'a>>,
    line: usize,
    found: Vec<Token>,
}

impl Lexer<'_> {
    fn next(&mut self) -> Option<char> {
        let c = self.rest.next();
        self.line += usize::from(c == Some('\n'));
        c
    }

    fn eat(&mut self, wanted: char) -> bool {
        self.rest.peek() == Some(&wanted) && self.next().is_some()
    }

    fn push(&mut self, text: String, line: usize) {
        self.found.push(Token { text, line });
    }

    fn step(&mut self, c: char) {
        let line = self.line;
        match c {
            '/' if self.eat('/') => self.skip_line(),
            '/' if self.eat('*') => self.skip_block(),
            '"' => self.skip_string(),
            '\'' => self.skip_quote(),
            ':' if self.eat(':') => self.push("::".to_owned(), line),
            c if c.is_alphanumeric() || c == '_' => self.word(c, line),
            c if c.is_whitespace() => {}
            c => self.push(c.to_string(), line),
        }
    }

    fn word(&mut self, first: char, line: usize) {
        let mut word = String::from(first);
        while let Some(c) = self.rest.next_if(|c| c.is_alphanumeric() || *c == '_') {
            word.push(c);
        }
        let is_raw_prefix = ["r", "br", "cr"].contains(&word.as_str());
        if is_raw_prefix && matches!(self.rest.peek(), Some('"' | '#')) {
            self.raw(line);
        } else if ["b", "c"].contains(&word.as_str()) && self.eat('"') {
            self.skip_string();
        } else if word == "b" && self.eat('\'') {
            self.skip_quote();
        } else {
            self.push(word, line);
        }
    }

    /// After `r`, `br` or `cr`: a raw string, or a raw word as in `r#type`.
    fn raw(&mut self, line: usize) {
        let mut hashes = 0;
        while self.eat('#') {
            hashes += 1;
        }
        if !self.eat('"') {
            if let Some(first) = self.rest.next_if(|c| c.is_alphabetic() || *c == '_') {
                self.word(first, line);
            }
            return;
        }
        while let Some(c) = self.next() {
            if c == '"' && (0..hashes).all(|_| self.eat('#')) {
                return;
            }
        }
    }

    fn skip_line(&mut self) {
        while self.next().is_some_and(|c| c != '\n') {}
    }

    fn skip_block(&mut self) {
        let mut depth = 1;
        while depth > 0 {
            match self.next() {
                Some('/') if self.eat('*') => depth += 1,
                Some('*') if self.eat('/') => depth -= 1,
                Some(_) => {}
                None => return,
            }
        }
    }

    fn skip_string(&mut self) {
        while let Some(c) = self.next() {
            match c {
                '\\' => drop(self.next()),
                '"' => return,
                _ => {}
            }
        }
    }

    /// After `'`: a character, or the name of a lifetime, which only a missing end quote tells.
    fn skip_quote(&mut self) {
        if self.eat('\\') {
            self.next();
            while self.next().is_some_and(|c| c != '\'') {}
            return;
        }
        let is_word = self
            .rest
            .peek()
            .is_some_and(|c| c.is_alphanumeric() || *c == '_');
        self.next();
        if !self.eat('\'') && is_word {
            while self
                .rest
                .next_if(|c| c.is_alphanumeric() || *c == '_')
                .is_some()
            {}
        }
    }
}

#[test]
fn comments_and_literals_fall_away() {
    let text = r##"
        a // b "c
        /* d /* e */ f */ g "h \" i" j 'k' l '\'' m '\u{1F600}' n
        &'o p r"q\" s r#"t " u"# v b"w" x b'y' z '"' r#fn
    "##;
    let words: Vec<String> = tokens(text).into_iter().map(|token| token.text).collect();
    assert_eq!(words.join(" "), "a g j l m n & p s v x z fn");
}

#[test]
fn lines_are_counted_through_everything_that_spans_them() {
    let lines: Vec<(String, usize)> = tokens("a\n\"b\nc\" d /* \n\n */ e\n// f\ncrate::g")
        .into_iter()
        .map(|token| (token.text, token.line))
        .collect();
    let expected = [
        ("a", 1),
        ("d", 3),
        ("e", 5),
        ("crate", 7),
        ("::", 7),
        ("g", 7),
    ];
    assert_eq!(lines, expected.map(|(text, line)| (text.to_owned(), line)));
}
