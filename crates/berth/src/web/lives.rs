//! Who started or ended in a stretch of time, as a list. Pure.

use std::time::Duration;

use berth_map::live::{Exit, Life};
use berth_map::svg::push_text;

use super::html::{push_pid, put};

/// How many are listed.
pub(super) const MOST: usize = 300;

/// The list; `more` are not on it.
pub(super) fn html(lives: &[Life], more: usize) -> String {
    let mut out = String::with_capacity(lives.len() * 240 + 64);
    let mut lives: Vec<&Life> = lives.iter().collect();
    lives.sort_by_key(|life| life.born);
    if lives.is_empty() {
        out.push_str("<p class=\"faint\">Nothing started or ended then.</p>");
        return out;
    }
    out.push_str("<ol>");
    for life in lives {
        push_life(&mut out, life);
    }
    out.push_str("</ol>");
    if more > 0 {
        put(
            &mut out,
            format_args!("<p class=\"faint\">and {more} more</p>"),
        );
    }
    out
}

fn push_life(out: &mut String, life: &Life) {
    let over = if life.ended.is_some() {
        "over"
    } else {
        "lives"
    };
    // Shown where it was alive: just before its end, else just after its birth.
    let at = life.ended.map_or(life.born.0 / 1_000_000 + 1, |end| {
        (end.0 / 1_000_000).saturating_sub(1)
    });
    let at = at.max(life.born.0 / 1_000_000);
    // By the outermost PID that is in sight.
    let shown = life.pids.first().copied().unwrap_or(life.pid.get());
    put(
        out,
        format_args!(
            "<li class=\"{over}\"><button type=\"button\" data-to=\"p{shown}\" data-at=\"{at}\"><span class=\"name\">",
        ),
    );
    push_text(out, &life.comm);
    out.push_str("</span>");
    for (level, pid) in life.pids.iter().enumerate() {
        push_pid(out, level, *pid, "");
    }
    if let Some(container) = &life.container {
        out.push_str("<span class=\"faint\">in ");
        push_text(out, container);
        out.push_str("</span>");
    }
    match life.ended {
        Some(end) => {
            let lived = span(life.born.until(end));
            put(
                out,
                format_args!("<span class=\"faint\">lived {lived}</span>"),
            );
        }
        None => out.push_str("<span class=\"faint\">alive</span>"),
    }
    let how = match life.exit {
        Some(Exit::Code(0)) => Some("<span class=\"how\">exit 0</span>".to_owned()),
        Some(Exit::Code(code)) => Some(format!("<span class=\"how alarm\">exit {code}</span>")),
        Some(Exit::Signal(signal)) => {
            Some(format!("<span class=\"how alarm\">signal {signal}</span>"))
        }
        Some(Exit::Unknown) | None => None,
    };
    out.push_str(&how.unwrap_or_default());
    out.push_str("</button></li>");
}

/// A length of time in the unit that suits it.
fn span(length: Duration) -> String {
    match length.as_millis() {
        0 => format!("{} µs", length.as_micros()),
        millis @ 1..1000 => format!("{millis} ms"),
        millis @ 1000..60_000 => format!("{}.{} s", millis / 1000, millis % 1000 / 100),
        millis => format!("{} min {} s", millis / 60_000, millis % 60_000 / 1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_a_fitting_unit() {
        let spans = [7, 7_000, 1_250_000, 61_000_000].map(|us| span(Duration::from_micros(us)));
        assert_eq!(spans, ["7 µs", "7 ms", "1.2 s", "1 min 1 s"]);
    }
}
