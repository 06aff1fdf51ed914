//! `print`, `println` and `printf`, as Go's fmt has them.

use serde_json::Value;

use super::show::{general, quote, show, with_exponent};

/// Widths and precisions beyond this are refused.
const MAX_WIDTH: usize = 4096;

/// `print`: spaces stand between neighbours of which neither is a string.
pub(super) fn print(values: &[Value]) -> String {
    let mut text = String::new();
    let mut after_string = true;
    for value in values {
        let is_string = value.is_string();
        if !is_string && !after_string {
            text.push(' ');
        }
        text.push_str(&show(value));
        after_string = is_string;
    }
    text
}

/// `println`: spaces between all, a line break at the end.
pub(super) fn println(values: &[Value]) -> String {
    let parts: Vec<String> = values.iter().map(show).collect();
    parts.join(" ") + "\n"
}

/// `printf FORMAT VALUE...`. A verb that does not fit its value prints `%!d(string=x)`, a missing
/// one `%!d(MISSING)`, a surplus one `%!(EXTRA int=1)`, as in Go.
pub(super) fn printf(arguments: &[Value]) -> Result<String, String> {
    let Some((Value::String(format), values)) = arguments.split_first() else {
        return Err("takes a format string first".to_owned());
    };
    let mut text = String::new();
    let mut values_left = values.iter();
    let mut rest = format.as_str();
    while let Some(at) = rest.find('%') {
        let (plain, directive) = rest.split_at(at);
        text.push_str(plain);
        let (verb, length) = Verb::read(directive)?;
        rest = directive.get(length..).unwrap_or("");
        match verb.letter {
            '%' => text.push('%'),
            letter => match values_left.next() {
                Some(value) => text.push_str(&verb.apply(value)),
                None => text.push_str(&format!("%!{letter}(MISSING)")),
            },
        }
    }
    text.push_str(rest);
    let extra: Vec<String> = values_left.map(described).collect();
    if !extra.is_empty() {
        text.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    Ok(text)
}

/// One `%-10.3f`.
struct Verb {
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
    letter: char,
}

impl Verb {
    /// Reads a directive that begins with `%`: it and its length in bytes.
    fn read(directive: &str) -> Result<(Self, usize), String> {
        let mut verb = Self {
            minus: false,
            plus: false,
            sharp: false,
            space: false,
            zero: false,
            width: 0,
            precision: None,
            letter: '%',
        };
        let mut chars = directive.char_indices().skip(1).peekable();
        while let Some((_, c)) = chars.peek() {
            match c {
                '-' => verb.minus = true,
                '+' => verb.plus = true,
                '#' => verb.sharp = true,
                ' ' => verb.space = true,
                '0' => verb.zero = true,
                _ => break,
            }
            chars.next();
        }
        let mut dotted = false;
        for (index, c) in chars {
            if let Some(digit) = c.to_digit(10) {
                let digit = usize::try_from(digit).unwrap_or(0);
                let target = match verb.precision.as_mut() {
                    Some(precision) => precision,
                    None => &mut verb.width,
                };
                *target = *target * 10 + digit;
                if *target > MAX_WIDTH {
                    return Err(format!("a width is at most {MAX_WIDTH}"));
                }
            } else if c == '.' && !dotted {
                dotted = true;
                verb.precision = Some(0);
            } else {
                verb.letter = c;
                return Ok((verb, index + c.len_utf8()));
            }
        }
        Err("the format ends inside a % directive".to_owned())
    }

    fn apply(&self, value: &Value) -> String {
        let body = match (self.letter, value) {
            ('v', Value::String(_)) | ('s', Value::String(_)) => self.cut(&show(value)),
            ('v', Value::Number(number)) if number.is_f64() => self.float(value),
            ('v', Value::Number(_)) => self.integer(value),
            ('v', _) => Some(show(value)),
            ('s' | 'q', Value::Array(values)) => Some(self.each(values)),
            ('q', Value::String(text)) => Some(quote(text)),
            ('x' | 'X', Value::String(text)) => Some(self.hex(text)),
            ('t', Value::Bool(value)) => Some(value.to_string()),
            ('T', _) => Some(type_name(value).to_owned()),
            ('d' | 'b' | 'o' | 'x' | 'X' | 'c' | 'q' | 'U', Value::Number(_)) => {
                self.integer(value)
            }
            ('e' | 'E' | 'f' | 'F' | 'g' | 'G', Value::Number(n)) if n.is_f64() => {
                self.float(value)
            }
            _ => None,
        };
        match body {
            Some(body) => self.pad(&body, value.is_number()),
            None => format!("%!{}({})", self.letter, described(value)),
        }
    }

    fn cut(&self, text: &str) -> Option<String> {
        Some(match self.precision {
            Some(length) => text.chars().take(length).collect(),
            None => text.to_owned(),
        })
    }

    fn each(&self, values: &[Value]) -> String {
        let bare = Self { width: 0, ..*self };
        let parts: Vec<String> = values.iter().map(|value| bare.apply(value)).collect();
        format!("[{}]", parts.join(" "))
    }

    fn hex(&self, text: &str) -> String {
        text.bytes()
            .map(|byte| match self.letter {
                'X' => format!("{byte:02X}"),
                _ => format!("{byte:02x}"),
            })
            .collect()
    }

    fn integer(&self, value: &Value) -> Option<String> {
        let number = value
            .as_i64()
            .map(i128::from)
            .or_else(|| value.as_u64().map(i128::from))?;
        let size = number.unsigned_abs();
        let sharp = |prefix: &'static str| if self.sharp { prefix } else { "" };
        let digits = match self.letter {
            'd' | 'v' => size.to_string(),
            'b' => format!("{}{size:b}", sharp("0b")),
            'o' => format!("{}{size:o}", sharp("0")),
            'x' => format!("{}{size:x}", sharp("0x")),
            'X' => format!("{}{size:X}", sharp("0X")),
            'U' => return Some(format!("U+{size:04X}")),
            letter => {
                let c = u32::try_from(number).ok().and_then(char::from_u32);
                let c = c.unwrap_or(char::REPLACEMENT_CHARACTER);
                return Some(match letter {
                    'q' => format!("'{c}'"),
                    _ => c.to_string(),
                });
            }
        };
        Some(format!("{}{digits}", self.sign(number < 0)))
    }

    fn float(&self, value: &Value) -> Option<String> {
        let number = value.as_f64()?;
        let size = number.abs();
        let digits = match self.letter {
            'f' | 'F' => format!("{size:.*}", self.precision.unwrap_or(6)),
            'e' | 'E' => {
                let text = format!("{size:.*e}", self.precision.unwrap_or(6));
                let (mantissa, exponent) = text.split_once('e')?;
                let text = with_exponent(mantissa, exponent.parse().ok()?);
                if self.letter == 'E' {
                    text.to_uppercase()
                } else {
                    text
                }
            }
            'G' => general(size, self.precision).to_uppercase(),
            _ => general(size, self.precision),
        };
        Some(format!("{}{digits}", self.sign(number.is_sign_negative())))
    }

    fn sign(&self, negative: bool) -> &'static str {
        match (negative, self.plus, self.space) {
            (true, _, _) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        }
    }

    fn pad(&self, body: &str, numeric: bool) -> String {
        let missing = self.width.saturating_sub(body.chars().count());
        if missing == 0 {
            return body.to_owned();
        }
        if self.minus {
            return format!("{body}{}", " ".repeat(missing));
        }
        if self.zero && numeric {
            let digits = body.trim_start_matches(['-', '+', ' ']);
            let sign = body.get(..body.len() - digits.len()).unwrap_or("");
            return format!("{sign}{}{digits}", "0".repeat(missing));
        }
        format!("{}{body}", " ".repeat(missing))
    }
}

/// `int=4242`, as Go describes a value that does not fit its verb.
fn described(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        value => format!("{}={}", type_name(value), show(value)),
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int",
        Value::String(_) => "string",
        Value::Array(values) if values.iter().all(Value::is_string) => "[]string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}
