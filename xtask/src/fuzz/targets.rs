//! The table of targets.

/// A program of `crates/berth-image/fuzz`.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) name: &'static str,
    /// The longest input. Short ones are quicker, and found to be enough for what the target reads.
    pub(super) longest_bytes: u32,
    /// It talks to itself over loopback, in a network namespace where nothing else is in reach.
    pub(super) talks: bool,
}

pub(super) const TARGETS: &[Target] = &[
    silent("reference", 400),
    silent("manifest", 4 << 10),
    silent("config", 4 << 10),
    silent("layer", 32 << 10),
    silent("archive", 16 << 10),
    Target {
        name: "registry",
        longest_bytes: 4 << 10,
        talks: true,
    },
];

const fn silent(name: &'static str, longest_bytes: u32) -> Target {
    Target {
        name,
        longest_bytes,
        talks: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace;

    #[test]
    fn every_program_is_in_the_table() {
        let manifest = workspace::root().join("crates/berth-image/fuzz/Cargo.toml");
        let text = std::fs::read_to_string(manifest).unwrap();
        let mut programs: Vec<&str> = text
            .split("[[bin]]\nname = \"")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .collect();
        let mut listed: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        programs.sort_unstable();
        listed.sort_unstable();
        assert_eq!(programs, listed);
    }
}
