//! Names of entries in an archive, as one spelling for each.

/// The longest name that is taken, Linux's PATH_MAX.
pub(super) const NAME_MAX_BYTES: usize = 4096;

/// Spells a name without `.`, empty parts and a slash at its end; empty for the archive's root.
/// `Err` says what is wrong with it.
pub(super) fn normal(name: &str) -> Result<String, &'static str> {
    if name.starts_with('/') {
        return Err("it is absolute");
    }
    below(&[], name)
}

/// Where a symbolic link at `link` leads to, inside of the archive.
pub(super) fn target_of(link: &str, target: &str) -> Result<String, &'static str> {
    if target.starts_with('/') {
        return Err("it leads out of the archive");
    }
    let mut folder: Vec<&str> = link.split('/').collect();
    folder.pop();
    below(&folder, target)
}

fn below(folder: &[&str], name: &str) -> Result<String, &'static str> {
    let mut parts = folder.to_vec();
    if name.len() > NAME_MAX_BYTES {
        return Err("it is longer than 4096 bytes");
    }
    for part in name.split('/') {
        match part {
            "" | "." => {}
            // Only links may climb, and only to where they still are inside.
            ".." if folder.is_empty() => return Err("it leads out of the archive"),
            ".." => {
                parts.pop().ok_or("it leads out of the archive")?;
            }
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings() {
        assert_eq!(normal("./a//b/."), Ok("a/b".to_owned()));
        assert_eq!(normal("./"), Ok(String::new()));
        for bad in ["/a", "../a", "a/../b", "..", &"a/".repeat(3000)] {
            assert!(normal(bad).is_err(), "{bad}");
        }
        assert_eq!(
            target_of("x/layer.tar", "../y/layer.tar"),
            Ok("y/layer.tar".to_owned())
        );
        assert_eq!(
            target_of("layer.tar", "other.tar"),
            Ok("other.tar".to_owned())
        );
        for bad in ["/y", "../../y", "../../../etc/passwd"] {
            assert!(target_of("x/layer.tar", bad).is_err(), "{bad}");
        }
    }
}
