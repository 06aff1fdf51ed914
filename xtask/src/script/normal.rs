//! Takes out of a text what differs from run to run: identifiers, times, spans, sizes, and the width of
//! columns that follows from them.

/// A text as it would be in any run.
pub(super) fn normal(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(line).collect();
    lines.join("\n")
}

fn line(text: &str) -> String {
    let words: Vec<String> = text.split_whitespace().map(word).collect();
    spans(&words.join(" "))
}

/// A word without what is an identifier, a time or a size.
fn word(text: &str) -> String {
    if is_time(text) {
        return "TIME".to_owned();
    }
    if is_size(text) {
        return "SIZE".to_owned();
    }
    let mut out = String::new();
    let mut run = String::new();
    for c in text.chars().chain(['\0']) {
        if c.is_ascii_alphanumeric() {
            run.push(c);
            continue;
        }
        out.push_str(if is_id(&run) { "ID" } else { &run });
        run.clear();
        if c != '\0' {
            out.push(c);
        }
    }
    out
}

/// 12 or 64 hexadecimal digits.
fn is_id(text: &str) -> bool {
    let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    matches!(text.len(), 12 | 64) && text.chars().all(hex)
}

/// As in 2026-01-02T03:04:05.678Z.
fn is_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= 20 && bytes[4] == b'-' && bytes[10] == b'T' && text.ends_with('Z')
}

/// A decimal number and a unit of bytes.
fn is_size(text: &str) -> bool {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (number, unit) = text.split_at(end.unwrap_or(text.len()));
    let units = ["B", "kB", "MB", "GB", "KiB", "MiB", "GiB"];
    !number.is_empty() && units.contains(&unit)
}

/// Spans of time, as `About a minute` or `3 seconds`.
fn spans(text: &str) -> String {
    let mut text = text.to_owned();
    for fixed in ["Less than a second", "About a minute", "About an hour"] {
        text = text.replace(fixed, "SPAN");
    }
    let words: Vec<&str> = text.split(' ').collect();
    let mut out: Vec<&str> = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let is_number = !words[at].is_empty() && words[at].chars().all(|c| c.is_ascii_digit());
        let unit = words
            .get(at + 1)
            .map_or("", |word| word.trim_end_matches('s'));
        if is_number && ["second", "minute", "hour", "day"].contains(&unit) {
            out.push("SPAN");
            at += 2;
        } else {
            out.push(words[at]);
            at += 1;
        }
    }
    out.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_by_chance_is_taken_out() {
        let id = "0123456789abcdef".repeat(4);
        let text = format!(
            "0123456789ab   box  Less than a second ago  Up 3 seconds (Paused)\nsha256:{id} 1.98MB 2026-01-02T03:04:05.6Z x\n"
        );
        assert_eq!(
            normal(&text),
            "ID box SPAN ago Up SPAN (Paused)\nsha256:ID SIZE TIME x"
        );
    }

    #[test]
    fn what_is_meant_stays() {
        for text in [
            "exit 3",
            "0.0.0.0:8080->80/tcp",
            "busybox 1.36 MB",
            "12 containers",
        ] {
            assert_eq!(normal(text), text);
        }
    }
}
