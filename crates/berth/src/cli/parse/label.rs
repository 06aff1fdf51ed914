//! `--label`.

use super::Rejected;
use super::lines::lines;

/// Reads `KEY=VALUE`, or `KEY` alone for an empty value.
pub(crate) fn label(text: &str) -> Result<(String, String), Rejected> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    if key.is_empty() || text.contains('\0') {
        return Err(Rejected::new("give KEY=VALUE, or KEY alone"));
    }
    Ok((key.to_owned(), value.to_owned()))
}

/// Reads the lines of a file of labels: blank lines and those that begin with `#` are skipped.
pub(crate) fn label_file(content: &[u8]) -> Result<Vec<(String, String)>, Rejected> {
    let mut labels = Vec::new();
    for line in lines(content) {
        let (number, line) = line?;
        let read = label(line);
        labels.push(read.map_err(|_| Rejected::new(format!("line {number} has no key")))?);
    }
    Ok(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_labels() {
        let read = label_file(b"# note\n\n  a=1\r\nb\n").unwrap();
        assert_eq!(
            read,
            [("a".into(), "1".into()), ("b".into(), String::new())]
        );
        insta::assert_snapshot!(label_file(b"a\n=1").unwrap_err(), @"line 2 has no key");
    }

    #[test]
    fn values_may_be_absent_or_hold_equals() {
        assert_eq!(label("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert_eq!(label("a"), Ok(("a".into(), String::new())));
        assert!(label("=b").is_err());
    }
}
