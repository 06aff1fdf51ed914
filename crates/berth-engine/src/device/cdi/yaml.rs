//! YAML as far as configuration goes: one document of mappings, sequences and scalars.
//!
//! Scalars are those of YAML's core schema (yaml.org/spec/1.2.2, 10.3.2), and octal numbers by a
//! leading zero, as vendors' tools write modes. Aliases, tags and merge keys are refused: a small
//! file could come to any size by them.

use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput};
use serde_json::{Map, Number, Value};
use serde_path_to_error::{Path, Segment};

/// Deeper than any device needs, and no danger to the stack.
const DEEPEST: usize = 32;

/// Why a text is not read, and where.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unread {
    pub(super) line: usize,
    pub(super) why: String,
}

/// A value and the line it begins in.
#[derive(Debug)]
pub(super) struct Located {
    line: usize,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Scalar(Value),
    Sequence(Vec<Located>),
    Mapping(Vec<(String, Located)>),
}

impl Located {
    /// The value as JSON; a key without a value is as absent.
    pub(super) fn to_value(&self) -> Value {
        match &self.content {
            Content::Scalar(value) => value.clone(),
            Content::Sequence(items) => items.iter().map(Self::to_value).collect(),
            Content::Mapping(entries) => {
                let entries = entries.iter().map(|(key, value)| (key, value.to_value()));
                let present = entries.filter(|(_, value)| !value.is_null());
                present
                    .map(|(key, value)| (key.clone(), value))
                    .collect::<Map<_, _>>()
                    .into()
            }
        }
    }

    /// The line of what a path leads to, or of the last of it that is there.
    pub(super) fn line_of(&self, path: &Path) -> usize {
        let mut at = self;
        for segment in path {
            let below = match (segment, &at.content) {
                (Segment::Seq { index }, Content::Sequence(items)) => items.get(*index),
                (Segment::Map { key }, Content::Mapping(entries)) => {
                    entries.iter().find(|(k, _)| k == key).map(|(_, v)| v)
                }
                _ => None,
            };
            match below {
                Some(below) => at = below,
                None => break,
            }
        }
        at.line
    }
}

/// Reads a text that is one document.
pub(super) fn read(text: &str) -> Result<Located, Unread> {
    let mut reader = Reader {
        parser: Parser::new_from_str(text),
        line: 1,
    };
    let mut document = None;
    loop {
        match reader.next()? {
            (Event::StreamEnd, _) => break,
            (Event::DocumentStart(_), span) if document.is_some() => {
                return Err(unread(
                    &span,
                    "a second document begins; keep one in a file",
                ));
            }
            (Event::DocumentStart(_), _) => {
                let (event, span) = reader.next()?;
                document = Some(reader.value(event, span, 0)?);
            }
            _ => {}
        }
    }
    document.ok_or_else(|| Unread {
        line: 1,
        why: "it is empty".to_owned(),
    })
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    line: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Unread> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => {
                self.line = span.start.line();
                Ok((event, span))
            }
            Some(Err(error)) => Err(Unread {
                line: error.marker().line(),
                why: error.info().to_owned(),
            }),
            None => Err(Unread {
                line: self.line,
                why: "it ends too early".to_owned(),
            }),
        }
    }

    fn value(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Located, Unread> {
        if depth > DEEPEST {
            return Err(unread(&span, "it is nested too deeply"));
        }
        let content = match event {
            Event::Scalar(.., anchor, tag) if anchor != 0 || tag.is_some() => {
                return Err(unread(&span, "anchors, aliases and tags are not taken"));
            }
            Event::Scalar(text, ScalarStyle::Plain, ..) => Content::Scalar(scalar(&text)),
            Event::Scalar(text, ..) => Content::Scalar(Value::String(text.into_owned())),
            Event::SequenceStart(0, None) => self.sequence(depth)?,
            Event::MappingStart(0, None) => self.mapping(depth)?,
            Event::Alias(_) | Event::SequenceStart(..) | Event::MappingStart(..) => {
                return Err(unread(&span, "anchors, aliases and tags are not taken"));
            }
            _ => return Err(unread(&span, "a value is missing")),
        };
        Ok(Located {
            line: span.start.line(),
            content,
        })
    }

    fn sequence(&mut self, depth: usize) -> Result<Content, Unread> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Content::Sequence(items)),
                (event, span) => items.push(self.value(event, span, depth + 1)?),
            }
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Content, Unread> {
        let mut entries: Vec<(String, Located)> = Vec::new();
        loop {
            let (key, span) = match self.next()? {
                (Event::MappingEnd, _) => return Ok(Content::Mapping(entries)),
                (Event::Scalar(key, _, 0, None), span) => (key.into_owned(), span),
                (_, span) => return Err(unread(&span, "a key is no plain text")),
            };
            if entries.iter().any(|(other, _)| *other == key) {
                return Err(unread(&span, &format!("the key {key:?} is there twice")));
            }
            let (event, at) = self.next()?;
            let mut value = self.value(event, at, depth + 1)?;
            // An error about a field is best seen where its name stands.
            value.line = span.start.line();
            entries.push((key, value));
        }
    }
}

fn unread(span: &Span, why: &str) -> Unread {
    Unread {
        line: span.start.line(),
        why: why.to_owned(),
    }
}

fn scalar(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    integer(text).map_or_else(|| Value::String(text.to_owned()), Value::Number)
}

fn integer(text: &str) -> Option<Number> {
    let (is_negative, digits) = match text.strip_prefix(['-', '+']) {
        Some(digits) => (text.starts_with('-'), digits),
        None => (false, text),
    };
    let (digits, radix) = if let Some(digits) = digits.strip_prefix("0o") {
        (digits, 8)
    } else if let Some(digits) = digits.strip_prefix("0x") {
        (digits, 16)
    } else if digits.len() > 1 && digits.starts_with('0') {
        (digits, 8)
    } else {
        (digits, 10)
    };
    if !digits.chars().all(|c| c.is_ascii_hexdigit()) {
        return None;
    }
    let number = i64::from_str_radix(digits, radix).ok()?;
    Some(Number::from(if is_negative { -number } else { number }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_vendors_write_is_read() {
        let text = "---\n# a comment\ncdiVersion: \"0.5.0\"\nkind: vendor.com/x\ndevices:\n- name: \"0\"\n  containerEdits:\n    deviceNodes:\n    - path: /dev/a\n      fileMode: 0666\n      major: 195\n      isOn: true\n      none:\n    env: [A=1, 'B=2', \"C=\\t3\"]\n    text: |\n      one\n      two\n";
        let read = read(text).unwrap();
        assert_eq!(
            read.to_value(),
            json!({"cdiVersion": "0.5.0", "kind": "vendor.com/x", "devices": [{"name": "0",
                "containerEdits": {
                    "deviceNodes": [{"path": "/dev/a", "fileMode": 0o666, "major": 195, "isOn": true}],
                    "env": ["A=1", "B=2", "C=\t3"], "text": "one\ntwo\n"}}]})
        );
        let json = super::read("{\n\t\"a\": [1, -2, 0x10, 0o7, \"3\", null]\n}").unwrap();
        assert_eq!(json.to_value(), json!({"a": [1, -2, 16, 7, "3", null]}));
    }

    #[test]
    fn what_is_not_read_has_a_line() {
        let fails = |text: &str| {
            let unread = read(text).unwrap_err();
            format!("{}: {}", unread.line, unread.why)
        };
        assert_eq!(fails(""), "1: it is empty");
        assert_eq!(
            fails("a: 1\nb: 2\na: 3\n"),
            "3: the key \"a\" is there twice"
        );
        assert_eq!(
            fails("a: &x 1\nb: *x\n"),
            "1: anchors, aliases and tags are not taken"
        );
        assert_eq!(
            fails("a:\n  - !!str 1\n"),
            "2: anchors, aliases and tags are not taken"
        );
        assert_eq!(
            fails("a: 1\n---\nb: 2\n"),
            "2: a second document begins; keep one in a file"
        );
        assert_eq!(fails("? [a]\n: 1\n"), "1: a key is no plain text");
        assert!(fails("a: 1\n b: 2\n").starts_with("2: "));
        let deep = (0..100).map(|depth| format!("{}a:\n", " ".repeat(depth)));
        assert_eq!(
            fails(&deep.collect::<String>()),
            "34: it is nested too deeply"
        );
        // The parser has a limit of its own for brackets.
        assert!(!fails(&"[".repeat(1_000)).is_empty());
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "[a-c:\\-\\[\\]{}&*!|>'\"#0-9x \n\t]{0,60}|\\PC{0,40}") {
            drop(read(&text).map(|read| read.to_value()));
        }
    }
}
