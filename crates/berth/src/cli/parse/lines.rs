//! Files of one entry a line.

use super::Rejected;

/// The lines of a file, counted from 1, without white space before them; blank lines and those that
/// begin with `#` are skipped.
pub(super) fn lines(content: &[u8]) -> impl Iterator<Item = Result<(usize, &str), Rejected>> {
    let lines = content.split(|byte| *byte == b'\n').zip(1..);
    let read = lines.map(|(line, number)| match std::str::from_utf8(line) {
        Ok(line) => Ok((number, line.strip_suffix('\r').unwrap_or(line).trim_start())),
        Err(_) => Err(Rejected::new(format!("line {number} is not UTF-8"))),
    });
    let is_entry = |line: &Result<(usize, &str), Rejected>| !matches!(line, Ok((_, text)) if text.is_empty() || text.starts_with('#'));
    read.filter(is_entry)
}
