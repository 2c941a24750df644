//! The syntax of Java properties files (`java.util.Properties.load`), in UTF-8.
//!
//! Logical lines end at an unescaped line end; a backslash before it continues the line, whose leading
//! blanks are dropped. `#` and `!` begin comments. Key and value are parted by the first unescaped
//! `=`, `:` or blank. Escapes: `\t \n \r \f \uXXXX`; any other escaped character stands for itself.

use std::iter::Peekable;
use std::str::Chars;

/// One key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    /// Unescaped key.
    pub key: String,
    /// Unescaped value; blanks at its end belong to it in Java, here they are cut off.
    pub value: String,
    /// Line on which it begins, from 1.
    pub line: usize,
}

/// A malformed line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct PropertyError {
    /// Line on which the property begins, from 1.
    pub line: usize,
    /// What is malformed.
    pub reason: &'static str,
}

/// Reads all properties, in their order; a key may occur twice.
///
/// # Errors
/// For a malformed `\u` escape or a value without a key.
pub fn parse_properties(text: &str) -> Result<Vec<Property>, PropertyError> {
    let mut properties = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let first = trim_start(line);
        if first.is_empty() || first.starts_with(['#', '!']) {
            continue;
        }
        let mut logical = first.to_owned();
        while continues(&logical) {
            logical.pop();
            match lines.next() {
                Some((_, next)) => logical.push_str(trim_start(next)),
                None => break,
            }
        }
        let line = number + 1;
        let (key, value) = split(&logical).map_err(|reason| PropertyError { line, reason })?;
        if key.is_empty() {
            return Err(PropertyError { line, reason: "a value without a key" });
        }
        properties.push(Property { key, value, line });
    }
    Ok(properties)
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\u{c}')
}

fn trim_start(line: &str) -> &str {
    line.trim_start_matches(is_blank)
}

fn continues(line: &str) -> bool {
    line.chars().rev().take_while(|c| *c == '\\').count() % 2 == 1
}

fn split(line: &str) -> Result<(String, String), &'static str> {
    let mut chars = line.chars().peekable();
    let mut key = String::new();
    while let Some(c) = chars.next_if(|c| !is_blank(*c) && !matches!(c, '=' | ':')) {
        key.push(unescape(c, &mut chars)?);
    }
    while chars.next_if(|c| is_blank(*c)).is_some() {}
    if chars.next_if(|c| matches!(c, '=' | ':')).is_some() {
        while chars.next_if(|c| is_blank(*c)).is_some() {}
    }
    let mut value = String::new();
    while let Some(c) = chars.next() {
        value.push(unescape(c, &mut chars)?);
    }
    value.truncate(value.trim_end().len());
    Ok((key, value))
}

fn unescape(c: char, chars: &mut Peekable<Chars<'_>>) -> Result<char, &'static str> {
    const MALFORMED: &str = "malformed \\uXXXX escape";
    if c != '\\' {
        return Ok(c);
    }
    match chars.next() {
        None => Ok('\\'),
        Some('t') => Ok('\t'),
        Some('n') => Ok('\n'),
        Some('r') => Ok('\r'),
        Some('f') => Ok('\u{c}'),
        Some('u') => {
            let mut code = 0;
            for _ in 0..4 {
                code = code * 16 + chars.next().and_then(|digit| digit.to_digit(16)).ok_or(MALFORMED)?;
            }
            char::from_u32(code).ok_or(MALFORMED)
        }
        Some(other) => Ok(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse_properties(text).unwrap().into_iter().map(|property| (property.key, property.value)).collect()
    }

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn separators_are_equals_colon_or_blank() {
        let expected = pair("key", "a value = x");
        for line in ["key=a value = x", "key : a value = x", "  key   a value = x", "key\t=\ta value = x"] {
            assert_eq!(pairs(line).first(), Some(&expected), "{line}");
        }
        assert_eq!(pairs("key"), [pair("key", "")]);
    }

    #[test]
    fn comments_and_empty_lines_are_skipped() {
        assert_eq!(pairs("# a\n! b\n\n   # c\r\nx=1 # not a comment\r\n"), [pair("x", "1 # not a comment")]);
    }

    #[test]
    fn a_backslash_continues_the_line_but_two_do_not() {
        assert_eq!(
            pairs("a=1,\\\n   2,\\\n\t3\nb=c\\\\\nd=e\\"),
            [pair("a", "1,2,3"), pair("b", "c\\"), pair("d", "e")]
        );
    }

    #[test]
    fn escapes_are_resolved_in_keys_and_values() {
        assert_eq!(pairs(r"a\=b\:c\ d=\u00e9\t\q\:"), [pair("a=b:c d", "\u{e9}\tq:")]);
    }

    #[test]
    fn mistakes_name_their_line() {
        let error = parse_properties("a=1\n\nb=\\u00g1").unwrap_err();
        assert_eq!(error, PropertyError { line: 3, reason: "malformed \\uXXXX escape" });
        assert_eq!(parse_properties("=x").unwrap_err().reason, "a value without a key");
    }

    #[test]
    fn a_property_knows_the_line_on_which_it_begins() {
        let properties = parse_properties("a=1\\\n2\nb=3").unwrap();
        assert_eq!(properties.iter().map(|property| property.line).collect::<Vec<_>>(), [1, 3]);
    }
}
