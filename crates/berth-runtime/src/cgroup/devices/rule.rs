//! One device rule, parsed.

use std::fmt;

use oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceType};

use crate::cgroup::CgroupError;

/// Kinds of access, with the numbers of BPF_DEVCG_ACC_*.
pub(super) const MKNOD: u8 = 1;
pub(super) const READ: u8 = 2;
pub(super) const WRITE: u8 = 4;
pub(super) const ALL: u8 = MKNOD | READ | WRITE;

/// Block or character devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// BPF_DEVCG_DEV_BLOCK.
    Block = 1,
    /// BPF_DEVCG_DEV_CHAR.
    Char = 2,
}

impl Kind {
    fn letter(self) -> char {
        match self {
            Self::Block => 'b',
            Self::Char => 'c',
        }
    }
}

/// A device rule: `None` matches every kind or number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) allow: bool,
    pub(super) kind: Option<Kind>,
    pub(super) major: Option<u32>,
    pub(super) minor: Option<u32>,
    /// Bits of [`MKNOD`], [`READ`], [`WRITE`].
    pub(super) access: u8,
}

impl Rule {
    pub(super) fn parse(rule: &LinuxDeviceCgroup) -> Result<Self, CgroupError> {
        let invalid = |why: &str| CgroupError::Invalid {
            limit: "device rule",
            asked: rule.to_string(),
            why: why.to_owned(),
        };
        let kind = match rule.typ().unwrap_or_default() {
            LinuxDeviceType::A => None,
            LinuxDeviceType::B => Some(Kind::Block),
            LinuxDeviceType::C | LinuxDeviceType::U => Some(Kind::Char),
            LinuxDeviceType::P => {
                return Err(invalid("a FIFO is no device; the type is a, b or c"));
            }
        };
        let number = |value: Option<i64>| match value {
            // -1 is how Docker and runc write the wildcard.
            None | Some(-1) => Ok(None),
            Some(value) => u32::try_from(value)
                .map(Some)
                .map_err(|_| invalid("give device numbers from 0, or leave them out")),
        };
        let mut access = 0;
        for letter in rule.access().as_deref().unwrap_or_default().chars() {
            access |= match letter {
                'r' => READ,
                'w' => WRITE,
                'm' => MKNOD,
                _ => return Err(invalid("the access is made of r, w and m")),
            };
        }
        match (access, rule.allow()) {
            (0, true) => return Err(invalid("name the access to allow, of r, w and m")),
            (0, false) => access = ALL,
            _ => {}
        }
        let (major, minor) = (number(rule.major())?, number(rule.minor())?);
        Ok(Self {
            allow: rule.allow(),
            kind,
            major,
            minor,
            access,
        })
    }

    /// Whether it is about every device.
    pub(super) fn is_total(&self) -> bool {
        self.kind.is_none() && self.major.is_none() && self.minor.is_none()
    }

    /// Whether some device matches both rules.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        fn meet<T: PartialEq>(a: Option<T>, b: Option<T>) -> bool {
            a.is_none() || b.is_none() || a == b
        }
        meet(self.kind, other.kind)
            && meet(self.major, other.major)
            && meet(self.minor, other.minor)
    }

    /// Whether every device of `other` matches this rule too.
    pub(super) fn contains(&self, other: &Self) -> bool {
        fn holds<T: PartialEq>(a: Option<T>, b: Option<T>) -> bool {
            a.is_none() || a == b
        }
        holds(self.kind, other.kind)
            && holds(self.major, other.major)
            && holds(self.minor, other.minor)
    }
}

impl fmt::Display for Rule {
    /// As v1's files take it: `c 1:3 rwm`, with `*` for every number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |n: Option<u32>| n.map_or("*".to_owned(), |n| n.to_string());
        let kind = self.kind.map_or('a', Kind::letter);
        write!(f, "{kind} {}:{} ", number(self.major), number(self.minor))?;
        for (bit, letter) in [(READ, "r"), (WRITE, "w"), (MKNOD, "m")] {
            if self.access & bit != 0 {
                f.write_str(letter)?;
            }
        }
        Ok(())
    }
}
