//! The kernel's own type information (Documentation/bpf/btf.rst of the kernel). Pure.
//!
//! Only what finding the offset of a named member takes: structures by name, members by name,
//! those of anonymous members included.

use std::collections::HashMap;

/// Refused data: what is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadBtf(pub(super) &'static str);

/// Parsed type information.
pub(super) struct Btf<'a> {
    types: &'a [u8],
    strings: &'a [u8],
    /// Where each type begins in `types`; the first has id 1.
    starts: Vec<u32>,
    /// Structures by name. C allows several of one name in different files.
    structures: HashMap<&'a [u8], Vec<u32>>,
    /// Functions by name.
    functions: HashMap<&'a [u8], u32>,
}

/// A member of a structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// Bytes from the start of the structure.
    pub(super) offset: u32,
    /// The id of its type.
    pub(super) type_id: u32,
}

/// The first 12 bytes of every type.
#[derive(Clone, Copy)]
struct Head {
    name: u32,
    kind: u32,
    /// Number of members and the like.
    count: u32,
    /// Whether member offsets carry a width of bits.
    bit_fields: bool,
    /// A size in bytes or the id of another type.
    value: u32,
}

const HEAD: usize = 12;
const MAGIC: u32 = 0xeb9f;

const ARRAY: u32 = 3;
const STRUCTURE: u32 = 4;
const UNION: u32 = 5;
const FUNCTION: u32 = 12;

/// Bytes behind the head of a type of this kind; `None` for a kind that is not known.
fn trailing(kind: u32, count: u32) -> Option<usize> {
    let count = usize::try_from(count).ok()?;
    Some(match kind {
        // Pointers, forwards, typedefs, qualifiers, functions, floats, type tags.
        2 | 7..=12 | 16 | 18 => 0,
        // Integers, variables, tags of declarations.
        1 | 14 | 17 => 4,
        ARRAY => 12,
        // Structures, unions, sections, 64-bit enumerations.
        4 | 5 | 15 | 19 => count.checked_mul(12)?,
        // Enumerations, prototypes.
        6 | 13 => count.checked_mul(8)?,
        _ => return None,
    })
}

/// The number at a place, in the byte order of this machine, which is the kernel's.
fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_ne_bytes(four.try_into().ok()?))
}

/// A part of the data that the header describes.
fn section(data: &[u8], header: usize, at: usize) -> Option<&[u8]> {
    let start = header.checked_add(usize::try_from(word(data, at)?).ok()?)?;
    let length = usize::try_from(word(data, at + 4)?).ok()?;
    data.get(start..start.checked_add(length)?)
}

impl<'a> Btf<'a> {
    /// Reads the types; `wanted` names the structures and functions that will be asked for.
    pub(super) fn parse(
        data: &'a [u8],
        wanted: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, BadBtf> {
        let first = word(data, 0).ok_or(BadBtf("it is empty"))?;
        if first & 0xffff != MAGIC {
            return Err(BadBtf("it does not begin like BTF"));
        }
        let cut = BadBtf("it is cut short");
        let header = word(data, 4)
            .and_then(|length| usize::try_from(length).ok())
            .ok_or(cut)?;
        let mut btf = Self {
            types: section(data, header, 8).ok_or(cut)?,
            strings: section(data, header, 16).ok_or(cut)?,
            starts: Vec::with_capacity(data.len() / 32),
            structures: HashMap::new(),
            functions: HashMap::new(),
        };
        for name in wanted {
            btf.structures.insert(name.as_bytes(), Vec::new());
        }
        btf.index()?;
        Ok(btf)
    }

    /// Notes where types begin, and which have wanted names.
    fn index(&mut self) -> Result<(), BadBtf> {
        let mut at = 0;
        let mut id = 0u32;
        while at < self.types.len() {
            let cut = BadBtf("a type is cut short");
            let head = head(self.types, at).ok_or(cut)?;
            id += 1;
            self.starts.push(u32::try_from(at).map_err(|_| cut)?);
            if matches!(head.kind, STRUCTURE | FUNCTION)
                && let Some(name) = self.string(head.name)
                && let Some(ids) = self.structures.get_mut(name)
            {
                if head.kind == STRUCTURE {
                    ids.push(id);
                } else {
                    self.functions.insert(name, id);
                }
            }
            let more = trailing(head.kind, head.count)
                .ok_or(BadBtf("it has a kind of type that is not known"))?;
            at += HEAD + more;
        }
        Ok(())
    }

    /// The id of a function.
    pub(super) fn function(&self, name: &str) -> Option<u32> {
        self.functions.get(name.as_bytes()).copied()
    }

    /// The id of a structure.
    pub(super) fn structure(&self, name: &str) -> Option<u32> {
        self.structures.get(name.as_bytes())?.first().copied()
    }

    /// Follows a path of members, such as `ns.inum`, from a structure.
    pub(super) fn member(&self, structure: &str, path: &str) -> Option<Member> {
        let ids = self.structures.get(structure.as_bytes())?;
        ids.iter().find_map(|id| self.member_of(*id, path))
    }

    fn member_of(&self, id: u32, path: &str) -> Option<Member> {
        let mut found = Member {
            offset: 0,
            type_id: id,
        };
        for name in path.split('.') {
            let next = self.find(self.strip(found.type_id)?, name.as_bytes(), 8)?;
            found = Member {
                offset: found.offset.checked_add(next.offset)?,
                type_id: next.type_id,
            };
        }
        Some(found)
    }

    /// The size of a structure in bytes.
    pub(super) fn size(&self, structure: &str) -> Option<u32> {
        Some(self.head(self.structure(structure)?)?.value)
    }

    /// The number of elements of an array member; 0 is an array without a bound.
    pub(super) fn array_length(&self, member: Member) -> Option<u32> {
        let id = self.strip(member.type_id)?;
        let head = self.head(id)?;
        (head.kind == ARRAY).then_some(())?;
        word(self.types, self.start(id)? + HEAD + 8)
    }

    /// Finds a member by name, in anonymous members too, `depth` of them inside each other.
    fn find(&self, id: u32, name: &[u8], depth: usize) -> Option<Member> {
        let head = self.head(id)?;
        if depth == 0 || !matches!(head.kind, STRUCTURE | UNION) {
            return None;
        }
        let start = self.start(id)? + HEAD;
        for number in 0..usize::try_from(head.count).ok()? {
            let at = start + number * 12;
            let own_name = self.string(word(self.types, at)?)?;
            let type_id = word(self.types, at + 4)?;
            let place = word(self.types, at + 8)?;
            let (bits, width) = match head.bit_fields {
                true => (place & 0x00ff_ffff, place >> 24),
                false => (place, 0),
            };
            let offset = bits / 8;
            if own_name == name {
                // A bit field has no address.
                return (width == 0 && bits % 8 == 0).then_some(Member { offset, type_id });
            }
            if own_name.is_empty()
                && let Some(inner) = self.find(self.strip(type_id)?, name, depth - 1)
            {
                return Some(Member {
                    offset: offset.checked_add(inner.offset)?,
                    type_id: inner.type_id,
                });
            }
        }
        None
    }

    /// The type behind typedefs, qualifiers and tags.
    fn strip(&self, id: u32) -> Option<u32> {
        let mut id = id;
        for _ in 0..32 {
            let head = self.head(id)?;
            if !matches!(head.kind, 8..=11 | 18) {
                return Some(id);
            }
            id = head.value;
        }
        None
    }

    fn start(&self, id: u32) -> Option<usize> {
        let at = usize::try_from(id).ok()?.checked_sub(1)?;
        usize::try_from(*self.starts.get(at)?).ok()
    }

    fn head(&self, id: u32) -> Option<Head> {
        head(self.types, self.start(id)?)
    }

    /// The string that begins at a place.
    fn string(&self, at: u32) -> Option<&'a [u8]> {
        let rest = self.strings.get(usize::try_from(at).ok()?..)?;
        let end = rest.iter().position(|byte| *byte == 0)?;
        rest.get(..end)
    }
}

fn head(types: &[u8], at: usize) -> Option<Head> {
    let info = word(types, at + 4)?;
    Some(Head {
        name: word(types, at)?,
        kind: info >> 24 & 0x1f,
        count: info & 0xffff,
        bit_fields: info >> 31 == 1,
        value: word(types, at + 8)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Type information that is written by hand.
    #[derive(Default)]
    struct Builder {
        types: Vec<u8>,
        strings: Vec<u8>,
    }

    impl Builder {
        fn name(&mut self, name: &str) -> u32 {
            if self.strings.is_empty() {
                self.strings.push(0);
            }
            if name.is_empty() {
                return 0;
            }
            let at = u32::try_from(self.strings.len()).unwrap();
            self.strings.extend(name.as_bytes());
            self.strings.push(0);
            at
        }

        /// A type with its trailing words.
        fn add(&mut self, name: &str, info: u32, value: u32, words: &[u32]) {
            let name = self.name(name);
            for word in [name, info, value].iter().chain(words) {
                self.types.extend(word.to_ne_bytes());
            }
        }

        fn structure(&mut self, kind: u32, name: &str, members: &[(&str, u32, u32)]) {
            let words: Vec<u32> = members
                .iter()
                .flat_map(|(name, of, bits)| [self.name(name), *of, *bits])
                .collect();
            let count = u32::try_from(members.len()).unwrap();
            self.add(name, kind << 24 | count, 64, &words);
        }

        fn finish(&self) -> Vec<u8> {
            let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap();
            let mut data = Vec::new();
            data.extend((MAGIC | 1 << 16).to_ne_bytes());
            let types = length(&self.types);
            for word in [24, 0, types, types, length(&self.strings)] {
                data.extend(u32::to_ne_bytes(word));
            }
            data.extend(&self.types);
            data.extend(&self.strings);
            data
        }
    }

    fn sample() -> Vec<u8> {
        let mut all = Builder::default();
        // 1: int, 2: an array of 7 of it, 3: const int.
        all.add("int", 1 << 24, 4, &[32]);
        all.add("", ARRAY << 24, 0, &[1, 1, 7]);
        all.add("", 10 << 24, 1, &[]);
        // 4: struct inner, 5: an anonymous union with it, 6: its typedef.
        all.structure(STRUCTURE, "inner", &[("a", 1, 0), ("b", 3, 32)]);
        all.structure(UNION, "", &[("deep", 4, 0), ("other", 1, 0)]);
        all.add("inner_t", 8 << 24, 4, &[]);
        // 7 and 8: two of one name.
        all.structure(STRUCTURE, "twice", &[("x", 1, 0)]);
        all.structure(STRUCTURE, "twice", &[("y", 1, 128)]);
        let members = [("", 5, 64), ("named", 6, 192), ("list", 2, 256)];
        all.structure(STRUCTURE, "outer", &members);
        // 10: with bit fields: the first byte of an offset is the width.
        all.structure(
            STRUCTURE | 0x80,
            "bits",
            &[("flag", 1, 1 << 24), ("whole", 1, 32)],
        );
        all.add("run", FUNCTION << 24, 1, &[]);
        all.finish()
    }

    const WANTED: [&str; 5] = ["outer", "twice", "bits", "run", "none"];

    #[test]
    fn members_are_found_through_names_and_anonymous_members() {
        let data = sample();
        let btf = Btf::parse(&data, WANTED).unwrap();
        let offset = |structure, path| btf.member(structure, path).map(|m| m.offset);
        assert_eq!(offset("outer", "deep.b"), Some(12));
        assert_eq!(offset("outer", "other"), Some(8));
        assert_eq!(offset("outer", "named.b"), Some(28));
        assert_eq!(offset("outer", "named.b.c"), None);
        assert_eq!(offset("outer", "b"), None);
        assert_eq!(offset("twice", "y"), Some(16));
        assert_eq!(offset("inner", "a"), None, "it was not asked for");
        let list = btf.member("outer", "list").unwrap();
        assert_eq!(btf.array_length(list), Some(7));
        assert_eq!(
            (btf.size("outer"), btf.function("run")),
            (Some(64), Some(11))
        );
        assert_eq!(
            (btf.structure("outer"), btf.structure("none")),
            (Some(9), None)
        );
    }

    #[test]
    fn a_bit_field_has_no_offset() {
        let data = sample();
        let btf = Btf::parse(&data, WANTED).unwrap();
        assert_eq!(btf.member("bits", "flag"), None);
        assert_eq!(btf.member("bits", "whole").map(|m| m.offset), Some(4));
    }

    #[test]
    fn damage_is_refused_or_finds_less() {
        let data = sample();
        for end in 0..data.len() {
            let cut = Btf::parse(&data[..end], WANTED);
            assert!(cut.is_err(), "{end}");
        }
        for place in 0..data.len() {
            let mut changed = data.clone();
            changed[place] ^= 0xff;
            if let Ok(btf) = Btf::parse(&changed, WANTED) {
                btf.member("outer", "deep.b");
                btf.member("outer", "named.b");
            }
        }
    }
}
