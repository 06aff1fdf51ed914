//! Things that events are about, found by a number that is never mistaken for that of a thing
//! that was there before.

/// The place of a thing, and the how manieth thing of its place it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Token {
    place: u32,
    generation: u32,
}

/// A generation has 28 bits, so that four are left in a number of 64 for the kind of event.
const GENERATIONS: u32 = (1 << 28) - 1;

impl Token {
    /// The lower 60 bits of an event's number.
    pub(super) fn to_bits(self) -> u64 {
        (u64::from(self.generation) << 32) | u64::from(self.place)
    }

    /// The token in an event's number.
    pub(super) fn from_bits(bits: u64) -> Self {
        let [.., a, b, c, d] = bits.to_be_bytes();
        let [e, f, g, h, ..] = bits.to_be_bytes();
        Self {
            place: u32::from_be_bytes([a, b, c, d]),
            generation: u32::from_be_bytes([e, f, g, h]) & GENERATIONS,
        }
    }
}

/// Things by token.
#[derive(Debug)]
pub(super) struct Slots<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Slots<T> {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a thing, which may want to know its token.
    pub(super) fn insert(&mut self, value: T) -> Token {
        let place = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot {
                generation: 0,
                value: None,
            });
            // Each holds descriptors, of which there are far fewer than that.
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        let mut generation = 0;
        if let Some(slot) = self.slots.get_mut(index(place)) {
            slot.generation = (slot.generation + 1) & GENERATIONS;
            slot.value = Some(value);
            generation = slot.generation;
        }
        Token { place, generation }
    }

    /// The thing with a token, if it is still there.
    pub(super) fn get(&self, token: Token) -> Option<&T> {
        let slot = self.slots.get(index(token.place))?;
        slot.value
            .as_ref()
            .filter(|_| slot.generation == token.generation)
    }

    /// The same, to be changed.
    pub(super) fn get_mut(&mut self, token: Token) -> Option<&mut T> {
        let slot = self.slots.get_mut(index(token.place))?;
        slot.value
            .as_mut()
            .filter(|_| slot.generation == token.generation)
    }

    /// Takes a thing out.
    pub(super) fn remove(&mut self, token: Token) -> Option<T> {
        let slot = self.slots.get_mut(index(token.place))?;
        if slot.generation != token.generation {
            return None;
        }
        let value = slot.value.take()?;
        self.free.push(token.place);
        Some(value)
    }

    /// All, with their tokens.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Token, &T)> {
        (0u32..).zip(&self.slots).filter_map(|(place, slot)| {
            let generation = slot.generation;
            slot.value
                .as_ref()
                .map(|value| (Token { place, generation }, value))
        })
    }
}

fn index(place: u32) -> usize {
    usize::try_from(place).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_token_finds_nothing() {
        let mut slots = Slots::default();
        let a = slots.insert('a');
        let b = slots.insert('b');
        assert_eq!(slots.remove(a), Some('a'));
        let c = slots.insert('c');
        assert_eq!(slots.get(a), None);
        assert_eq!(slots.remove(a), None);
        assert_eq!((slots.get(b), slots.get(c)), (Some(&'b'), Some(&'c')));
        let all: Vec<_> = slots.iter().map(|(token, value)| (token, *value)).collect();
        assert_eq!(all, [(c, 'c'), (b, 'b')]);
        assert_eq!(slots.len(), 2);
    }

    #[test]
    fn a_token_survives_as_a_number() {
        let token = Token {
            place: 0xfedc_ba98,
            generation: GENERATIONS,
        };
        let bits = token.to_bits();
        assert_eq!(bits >> 60, 0);
        assert_eq!(Token::from_bits(bits | (0xf << 60)), token);
    }
}
