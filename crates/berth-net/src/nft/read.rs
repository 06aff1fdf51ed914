//! Attributes of answers, taken apart.

use super::wire::{DATA_VALUE, LIST_ELEMENT};

/// The length of `struct nfgenmsg`.
const HEAD: usize = 4;
/// The bits of a type that are not flags (NLA_TYPE_MASK, linux/netlink.h).
const TYPE: u16 = 0x3fff;

/// The attributes of a message or of a nest, in order.
#[derive(Clone, Copy)]
pub(super) struct Attributes<'a>(&'a [u8]);

impl<'a> Attributes<'a> {
    /// Those of a message's body, which begins with its head.
    pub(super) fn of_message(body: &'a [u8]) -> Self {
        Self(body.get(HEAD..).unwrap_or_default())
    }

    /// The first value of a type.
    pub(super) fn value(mut self, wanted: u16) -> Option<&'a [u8]> {
        self.find(|(kind, _)| *kind == wanted)
            .map(|(_, value)| value)
    }

    /// The attributes within an attribute; none when it is missing.
    pub(super) fn nest(self, wanted: u16) -> Self {
        Self(self.value(wanted).unwrap_or_default())
    }

    /// The elements of a list.
    pub(super) fn list(self, wanted: u16) -> impl Iterator<Item = Attributes<'a>> {
        self.nest(wanted)
            .filter(|(kind, _)| *kind == LIST_ELEMENT)
            .map(|(_, value)| Attributes(value))
    }

    /// A number in network byte order.
    pub(super) fn number(self, wanted: u16) -> Option<u32> {
        let bytes = self.value(wanted)?.try_into().ok()?;
        Some(u32::from_be_bytes(bytes))
    }

    /// A number of 64 bits in network byte order.
    pub(super) fn long(self, wanted: u16) -> Option<u64> {
        let bytes = self.value(wanted)?.try_into().ok()?;
        Some(u64::from_be_bytes(bytes))
    }

    /// A text, which ends with a NUL on the wire.
    pub(super) fn text(self, wanted: u16) -> Option<&'a str> {
        let value = self.value(wanted)?;
        std::str::from_utf8(value.strip_suffix(&[0]).unwrap_or(value)).ok()
    }

    /// The bytes of a key or a datum (NFTA_DATA_VALUE within the attribute).
    pub(super) fn data(self, wanted: u16) -> Option<&'a [u8]> {
        self.nest(wanted).value(DATA_VALUE)
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (head, _) = self.0.split_first_chunk::<4>()?;
        let [low, high, kind_low, kind_high] = *head;
        let length = usize::from(u16::from_ne_bytes([low, high]));
        let kind = u16::from_ne_bytes([kind_low, kind_high]) & TYPE;
        // What does not fit ends the list.
        let value = self.0.get(4..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    }
}

#[cfg(test)]
mod tests {
    use berth_sys::batch::Batch;

    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let mut batch = Batch::new();
        batch.message(1, 0, &[0; 4], |a| {
            a.text(1, "berth").net_number(2, 7).nest(3, |a| {
                for byte in [1, 2] {
                    a.nest(LIST_ELEMENT, |a| {
                        a.nest(1, |a| {
                            a.bytes(DATA_VALUE, &[byte]);
                        });
                    });
                }
            });
        });
        let attributes = Attributes::of_message(&batch.bytes().unwrap()[16..]);
        assert_eq!(attributes.text(1), Some("berth"));
        assert_eq!(attributes.number(2), Some(7));
        assert_eq!(attributes.number(9), None);
        let data: Vec<_> = attributes.list(3).map(|e| e.data(1)).collect();
        assert_eq!(data, [Some(&[1][..]), Some(&[2])]);
    }

    #[test]
    fn a_length_that_lies_ends_the_list() {
        assert_eq!(Attributes(&[200, 0, 1, 0, 5]).next(), None);
        assert_eq!(Attributes(&[2, 0, 1, 0]).next(), None);
        assert_eq!(Attributes(&[4, 0]).next(), None);
    }
}
