//! From text to tokens: what stands outside `{{ }}`, and the words inside.

use serde_json::Value;

use super::error::Fault;
use super::syntax::{number, unescape};

/// A token and where it begins.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) offset: usize,
    /// White space stands before it: `.A .B` are two operands, `.A.B` is one.
    pub(super) spaced: bool,
    pub(super) kind: TokenKind,
}

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum TokenKind {
    /// Text outside of actions.
    Text(String),
    /// `{{`.
    Open,
    /// `}}`.
    Close,
    /// `.` alone.
    Dot,
    /// `.Name`.
    Field(String),
    /// `$` or `$name`, without the `$`.
    Variable(String),
    /// A word: keyword, function, `true`, `nil`.
    Word(String),
    /// A number, string or character.
    Literal(Value),
    /// `|`.
    Pipe,
    /// `(`.
    Left,
    /// `)`.
    Right,
    /// `:=`.
    Declare,
    /// `=`.
    Assign,
    /// `,`.
    Comma,
}

/// Splits a template into tokens.
pub(super) fn lex(source: &str) -> Result<Vec<Token>, Fault> {
    let mut lexer = Lexer {
        source,
        position: 0,
        tokens: Vec::new(),
    };
    let mut trim_next = false;
    while lexer.position < source.len() {
        trim_next = lexer.text_then_action(trim_next)?;
    }
    Ok(lexer.tokens)
}

struct Lexer<'a> {
    source: &'a str,
    position: usize,
    tokens: Vec<Token>,
}

/// Go's white space inside a template.
const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.source.get(self.position..).unwrap_or("")
    }

    fn push(&mut self, offset: usize, spaced: bool, kind: TokenKind) {
        self.tokens.push(Token {
            offset,
            spaced,
            kind,
        });
    }

    /// Reads text up to an action and the action itself. Answers whether the action ends with a
    /// trim marker, so that the text after it loses its leading white space.
    fn text_then_action(&mut self, trim_left: bool) -> Result<bool, Fault> {
        let rest = self.rest();
        let length = rest.find("{{").unwrap_or(rest.len());
        let start = self.position;
        let (text, action) = rest.split_at(length);
        let trim_right = action.starts_with("{{-") && action[3..].starts_with(SPACE);
        let text = if trim_left {
            text.trim_start_matches(SPACE)
        } else {
            text
        };
        let text = if trim_right {
            text.trim_end_matches(SPACE)
        } else {
            text
        };
        if !text.is_empty() {
            self.push(start, false, TokenKind::Text(text.to_owned()));
        }
        self.position += length;
        if action.is_empty() {
            return Ok(false);
        }
        let open = self.position;
        self.position += if trim_right { 3 } else { 2 };
        if self.rest().trim_start_matches(SPACE).starts_with("/*") {
            return self.comment(open);
        }
        self.push(open, false, TokenKind::Open);
        self.action(open)
    }

    fn comment(&mut self, open: usize) -> Result<bool, Fault> {
        let rest = self.rest();
        let end = rest
            .find("*/")
            .ok_or_else(|| Fault::new(open, "a comment that never ends; close it with */}}"))?;
        let after = rest.get(end + 2..).unwrap_or("");
        let (skipped, trims) = match after.strip_prefix("}}") {
            Some(_) => (2, false),
            None if after.trim_start_matches(SPACE).starts_with("-}}")
                && after.starts_with(SPACE) =>
            {
                let spaces = after.len() - after.trim_start_matches(SPACE).len();
                (spaces + 3, true)
            }
            None => return Err(Fault::new(open, "a comment is followed by }} at once")),
        };
        self.position += end + 2 + skipped;
        Ok(trims)
    }

    /// Reads the tokens of an action up to its `}}`.
    fn action(&mut self, open: usize) -> Result<bool, Fault> {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start_matches(SPACE);
            let spaced = trimmed.len() < rest.len();
            self.position += rest.len() - trimmed.len();
            let at = self.position;
            if trimmed.is_empty() {
                return Err(Fault::new(
                    open,
                    "an action that never ends; close it with }}",
                ));
            }
            if trimmed.starts_with("}}") {
                self.position += 2;
                self.push(at, spaced, TokenKind::Close);
                return Ok(false);
            }
            if spaced && trimmed.starts_with("-}}") {
                self.position += 3;
                self.push(at, spaced, TokenKind::Close);
                return Ok(true);
            }
            let (length, kind) = token(trimmed).map_err(|message| Fault::new(at, message))?;
            self.position += length;
            self.push(at, spaced, kind);
        }
    }
}

/// Reads one token at the start of `rest`, which is not empty: its length and kind.
fn token(rest: &str) -> Result<(usize, TokenKind), String> {
    let first = rest.chars().next().unwrap_or(' ');
    let kind = match first {
        '|' => TokenKind::Pipe,
        '(' => TokenKind::Left,
        ')' => TokenKind::Right,
        ',' => TokenKind::Comma,
        '=' => TokenKind::Assign,
        ':' if rest.starts_with(":=") => return Ok((2, TokenKind::Declare)),
        '"' => return quoted(rest, '"'),
        '\'' => return quoted(rest, '\''),
        '`' => {
            let body = rest.get(1..).and_then(|r| r.split_once('`'));
            let (body, _) = body.ok_or("a raw string that never ends; close it with `")?;
            return Ok((body.len() + 2, TokenKind::Literal(body.into())));
        }
        '$' => {
            let name = word(rest.get(1..).unwrap_or(""));
            return Ok((1 + name.len(), TokenKind::Variable(name.to_owned())));
        }
        '.' if !rest
            .get(1..)
            .unwrap_or("")
            .starts_with(|c: char| c.is_ascii_digit()) =>
        {
            let name = word(rest.get(1..).unwrap_or(""));
            return Ok(match name {
                "" => (1, TokenKind::Dot),
                name => (1 + name.len(), TokenKind::Field(name.to_owned())),
            });
        }
        '0'..='9' | '+' | '-' | '.' => return numeric(rest),
        c if c.is_alphabetic() || c == '_' => {
            let name = word(rest);
            return Ok((name.len(), TokenKind::Word(name.to_owned())));
        }
        c => return Err(format!("unexpected {c:?}")),
    };
    Ok((1, kind))
}

fn word(rest: &str) -> &str {
    let end = rest
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(rest.len());
    rest.get(..end).unwrap_or("")
}

fn numeric(rest: &str) -> Result<(usize, TokenKind), String> {
    let mut end = 0;
    let mut before = ' ';
    for c in rest.chars() {
        let sign = matches!(c, '+' | '-') && (end == 0 || matches!(before, 'e' | 'E'));
        if !(c.is_ascii_alphanumeric() || c == '.' || c == '_' || sign) {
            break;
        }
        end += c.len_utf8();
        before = c;
    }
    let text = rest.get(..end).unwrap_or("");
    match number(text) {
        Some(value) => Ok((end, TokenKind::Literal(value))),
        None => Err(format!("bad number {text:?}")),
    }
}

fn quoted(rest: &str, quote: char) -> Result<(usize, TokenKind), String> {
    let mut escaped = false;
    for (index, c) in rest.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == '\n' {
            break;
        } else if c == quote {
            let text = unescape(rest.get(1..index).unwrap_or(""))?;
            let value = if quote == '"' {
                Value::from(text)
            } else {
                character(&text)?
            };
            return Ok((index + 1, TokenKind::Literal(value)));
        }
    }
    Err(format!("a string that never ends; close it with {quote}"))
}

/// A character constant is its code point, as in Go.
fn character(text: &str) -> Result<Value, String> {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) => Ok(Value::from(u32::from(c))),
        _ => Err("a character constant holds one character; write strings with \"".to_owned()),
    }
}
