//! What the user does: the words for it, and the bytes of a terminal that say so. Pure.
//!
//! Bytes come as they are read, cut anywhere. What begins with ESC is a sequence when more follows
//! at once (ECMA-48 CSI and SS3, xterm's mouse mode 1006), and the key Escape when nothing does.

/// Something that the user did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// A key.
    Key(Key),
    /// The left button, pressed.
    Click(Pointer),
    /// The left button, dragged with.
    Drag(Pointer),
    /// The wheel, by lines; downwards is positive.
    Wheel(Pointer, i32),
}

/// A place on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pointer {
    /// The column, from 0.
    pub(crate) column: u16,
    /// The row, from 0.
    pub(crate) row: u16,
}

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// A character.
    Char(char),
    /// A letter with control.
    Control(char),
    Enter,
    Escape,
    Tab,
    BackTab,
    Backspace,
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Home,
    End,
}

/// Lines that one notch of the wheel scrolls.
const NOTCH: i32 = 3;
/// A sequence that has not ended after so many bytes is none.
const MOST: usize = 32;
const ESC: u8 = 0x1b;

/// Bytes of a terminal on their way to becoming [`Input`].
#[derive(Debug, Default)]
pub(super) struct Decoder {
    pending: Vec<u8>,
}

/// What the beginning of some bytes is.
enum Head {
    /// So many bytes, and what they mean, if anything.
    Whole(usize, Option<Input>),
    /// More must come before it can be told.
    Part,
}

impl Decoder {
    /// Takes bytes in, and gives what they say.
    pub(super) fn decode(&mut self, bytes: &[u8]) -> Vec<Input> {
        self.pending.extend_from_slice(bytes);
        let mut inputs = Vec::new();
        let mut at = 0;
        while let Some(rest) = self.pending.get(at..).filter(|rest| !rest.is_empty()) {
            match read_head(rest) {
                Head::Whole(length, input) => {
                    inputs.extend(input);
                    at += length;
                }
                Head::Part if rest.len() >= MOST => at += 1,
                Head::Part => break,
            }
        }
        self.pending.drain(..at);
        inputs
    }

    /// Whether the beginning of something waits for its rest.
    pub(super) fn is_waiting(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Nothing followed for a while: an ESC was the key.
    pub(super) fn give_up(&mut self) -> Option<Input> {
        let was_escape = self.pending.first() == Some(&ESC);
        self.pending.clear();
        was_escape.then_some(Input::Key(Key::Escape))
    }
}

fn read_head(bytes: &[u8]) -> Head {
    match bytes {
        [] => Head::Part,
        [ESC] => Head::Part,
        [ESC, b'[', rest @ ..] => read_csi(rest),
        [ESC, b'O'] => Head::Part,
        [ESC, b'O', last, ..] => Head::Whole(3, final_key(*last).map(Input::Key)),
        // Twice the key; of the second one more may follow.
        [ESC, ESC, ..] => Head::Whole(1, Some(Input::Key(Key::Escape))),
        // A key with Alt: nothing here listens to those.
        [ESC, ..] => match read_char(bytes.get(1..).unwrap_or_default()) {
            Head::Whole(length, _) => Head::Whole(length + 1, None),
            Head::Part => Head::Part,
        },
        _ => read_char(bytes),
    }
}

fn read_char(bytes: &[u8]) -> Head {
    let key = match bytes.first() {
        None => return Head::Part,
        Some(b'\r' | b'\n') => Key::Enter,
        Some(b'\t') => Key::Tab,
        Some(0x7f | 0x08) => Key::Backspace,
        Some(byte @ 1..=26) => Key::Control(char::from(byte - 1 + b'a')),
        Some(byte @ 0x20..=0x7e) => Key::Char(char::from(*byte)),
        Some(0x80..) => return read_utf8(bytes),
        // Controls that no key of ours gives.
        Some(_) => return Head::Whole(1, None),
    };
    Head::Whole(1, Some(Input::Key(key)))
}

fn read_utf8(bytes: &[u8]) -> Head {
    for length in 2..=4 {
        let Some(part) = bytes.get(..length) else {
            let is_begun = std::str::from_utf8(bytes).is_err_and(|e| e.error_len().is_none());
            return match is_begun {
                true => Head::Part,
                false => Head::Whole(1, None),
            };
        };
        let whole = std::str::from_utf8(part).ok();
        if let Some(c) = whole.and_then(|text| text.chars().next()) {
            return Head::Whole(length, Some(Input::Key(Key::Char(c))));
        }
    }
    Head::Whole(1, None)
}

/// What follows `ESC [`: parameters (0x30 to 0x3f), intermediates (0x20 to 0x2f), a final byte.
fn read_csi(bytes: &[u8]) -> Head {
    let end = bytes.iter().position(|b| !(0x20..=0x3f).contains(b));
    let Some((end, last)) = end.and_then(|at| Some((at, *bytes.get(at)?))) else {
        return Head::Part;
    };
    let parameters = bytes.get(..end).unwrap_or_default();
    // An unfinished sequence that another one interrupts is dropped.
    let length = if (0x40..=0x7e).contains(&last) {
        end + 3
    } else {
        end + 2
    };
    if length > MOST {
        return Head::Whole(1, None);
    }
    let input = match (last, parameters) {
        (b'M' | b'm', [b'<', place @ ..]) => read_mouse(place, last == b'M'),
        (b'~', _) => tilde_key(parameters).map(Input::Key),
        _ => final_key(last).map(Input::Key),
    };
    Head::Whole(length, input)
}

fn final_key(last: u8) -> Option<Key> {
    Some(match last {
        b'A' => Key::Up,
        b'B' => Key::Down,
        b'C' => Key::Right,
        b'D' => Key::Left,
        b'H' => Key::Home,
        b'F' => Key::End,
        b'Z' => Key::BackTab,
        b'M' => Key::Enter,
        _ => return None,
    })
}

fn tilde_key(parameters: &[u8]) -> Option<Key> {
    let number = parameters.split(|b| *b == b';').next();
    Some(match number? {
        b"1" | b"7" => Key::Home,
        b"4" | b"8" => Key::End,
        b"5" => Key::PageUp,
        b"6" => Key::PageDown,
        _ => return None,
    })
}

/// `BUTTON;COLUMN;ROW`, both from 1. Of the button's bits 2 to 4 are shift, alt and control, 5 is
/// set while it moves, 6 for the wheel.
fn read_mouse(place: &[u8], is_press: bool) -> Option<Input> {
    let text = std::str::from_utf8(place).ok()?;
    let mut numbers = text.split(';').map(|n| n.parse::<u16>().ok());
    let button = numbers.next()??;
    let pointer = Pointer {
        column: numbers.next()??.checked_sub(1)?,
        row: numbers.next()??.checked_sub(1)?,
    };
    match button & !0b1_1100 {
        0 if is_press => Some(Input::Click(pointer)),
        32 => Some(Input::Drag(pointer)),
        64 => Some(Input::Wheel(pointer, -NOTCH)),
        65 => Some(Input::Wheel(pointer, NOTCH)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(bytes: &[u8]) -> Vec<Input> {
        Decoder::default().decode(bytes)
    }

    fn keys(bytes: &[u8]) -> Vec<Key> {
        let keys = decode(bytes).into_iter();
        keys.map(|input| match input {
            Input::Key(key) => key,
            other => panic!("{other:?}"),
        })
        .collect()
    }

    #[test]
    fn keys_are_told_apart() {
        use Key::*;
        assert_eq!(keys(b"q/9"), [Char('q'), Char('/'), Char('9')]);
        assert_eq!(keys("ü語".as_bytes()), [Char('ü'), Char('語')]);
        assert_eq!(
            keys(b"\r\t\x7f\x03\x1a"),
            [Enter, Tab, Backspace, Control('c'), Control('z')]
        );
        assert_eq!(
            keys(b"\x1b[A\x1b[B\x1bOC\x1b[D\x1b[Z"),
            [Up, Down, Right, Left, BackTab]
        );
        assert_eq!(
            keys(b"\x1b[5~\x1b[6~\x1b[H\x1b[4~\x1b[1;5C"),
            [PageUp, PageDown, Home, End, Right]
        );
    }

    #[test]
    fn the_mouse_is_understood() {
        let at = |column, row| Pointer { column, row };
        assert_eq!(decode(b"\x1b[<0;10;5M"), [Input::Click(at(9, 4))]);
        assert_eq!(decode(b"\x1b[<0;10;5m"), []);
        assert_eq!(decode(b"\x1b[<32;200;60M"), [Input::Drag(at(199, 59))]);
        assert_eq!(decode(b"\x1b[<65;1;1M"), [Input::Wheel(at(0, 0), NOTCH)]);
        assert_eq!(decode(b"\x1b[<64;1;1M"), [Input::Wheel(at(0, 0), -NOTCH)]);
        assert_eq!(
            decode(b"\x1b[<0;0;0M\x1b[<;1;1M\x1b[<M\x1b[<0;9999999;1M"),
            []
        );
    }

    #[test]
    fn an_escape_alone_is_a_key_once_nothing_follows() {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.decode(b"\x1b"), []);
        assert!(decoder.is_waiting());
        assert_eq!(decoder.give_up(), Some(Input::Key(Key::Escape)));
        assert!(!decoder.is_waiting());
        assert_eq!(decoder.decode(b"\x1b"), []);
        assert_eq!(decoder.decode(b"[A"), [Input::Key(Key::Up)]);
    }

    #[test]
    fn what_nobody_knows_is_swallowed_whole() {
        assert_eq!(
            keys(b"\x1b[200~\x1b[?1;2c\x1bx\x1b[99;5uq"),
            [Key::Char('q')]
        );
        // A sequence that never ends does not swallow what comes after it.
        let endless = [b"\x1b[", [b'1'; 100].as_slice(), b"q"].concat();
        assert_eq!(decode(&endless).last(), Some(&Input::Key(Key::Char('q'))));
    }

    proptest! {
        #[test]
        fn where_bytes_are_cut_does_not_matter(
            bytes in proptest::collection::vec(
                prop_oneof![Just(0x1b), Just(b'['), Just(b'<'), Just(b';'), Just(b'M'), any::<u8>()],
                0..60,
            ),
            cut in 0usize..60,
        ) {
            let whole = decode(&bytes);
            let cut = cut.min(bytes.len());
            let mut decoder = Decoder::default();
            let mut parts = decoder.decode(&bytes[..cut]);
            parts.extend(decoder.decode(&bytes[cut..]));
            prop_assert_eq!(parts, whole);
        }
    }
}
