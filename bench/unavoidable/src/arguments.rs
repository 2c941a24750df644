//! `name=value` arguments.

use std::collections::BTreeMap;
use std::io;

/// What was given on the command line.
pub struct Arguments(BTreeMap<String, String>);

impl Arguments {
    /// Reads all words.
    pub fn parse(words: impl Iterator<Item = String>) -> io::Result<Self> {
        let pair = |word: String| match word.split_once('=') {
            Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
            None => Err(io::Error::other(format!("{word:?} is not name=value"))),
        };
        words.map(pair).collect::<io::Result<_>>().map(Self)
    }

    /// A value that must be given.
    pub fn text(&self, name: &str) -> io::Result<&str> {
        self.0.get(name).map(String::as_str).ok_or_else(|| io::Error::other(format!("{name}=... is missing")))
    }

    /// A number, or its default.
    pub fn number(&self, name: &str, default: u64) -> io::Result<u64> {
        match self.0.get(name) {
            None => Ok(default),
            Some(value) => {
                value.parse().map_err(|_| io::Error::other(format!("{name}={value} is no number")))
            }
        }
    }
}
