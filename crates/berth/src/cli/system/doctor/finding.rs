//! One line of the report.

use serde_json::{Value, json};

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// In order.
    Ok,
    /// It works, less well.
    Warning,
    /// Containers do not run without.
    Missing,
}

impl State {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Missing => "missing",
        }
    }
}

/// What was looked at, and how it is.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) area: &'static str,
    pub(super) name: String,
    pub(super) state: State,
    /// What was seen.
    found: String,
    /// What it costs not to have it.
    costs: Option<String>,
    /// A command, or what to ask for.
    remedy: Option<String>,
}

impl Finding {
    pub(super) fn ok(
        area: &'static str,
        name: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self {
            area,
            name: name.into(),
            state: State::Ok,
            found: found.into(),
            costs: None,
            remedy: None,
        }
    }

    /// The same, not in order.
    pub(super) fn but(
        self,
        state: State,
        costs: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            state,
            costs: Some(costs.into()),
            remedy: Some(remedy.into()),
            ..self
        }
    }

    /// In order, or else as it says.
    pub(super) fn unless(self, is_fine: bool, state: State, costs: &str, remedy: &str) -> Self {
        match is_fine {
            true => self,
            false => self.but(state, costs, remedy),
        }
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "area": self.area,
            "name": self.name,
            "state": self.state.word(),
            "found": self.found,
            "costs": self.costs,
            "remedy": self.remedy,
        })
    }

    pub(super) fn text(&self) -> String {
        let found = match self.found.as_str() {
            "" => String::new(),
            found => format!(": {found}"),
        };
        let mut text = format!("  {:<8} {}{found}\n", self.state.word(), self.name);
        for (word, line) in [("costs", &self.costs), ("remedy", &self.remedy)] {
            if let Some(line) = line {
                text.push_str(&format!("           {word}: {line}\n"));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let fine = Finding::ok("Kernel", "PID namespaces", "");
        insta::assert_snapshot!(fine.text(), @"  ok       PID namespaces");
        let bad = Finding::ok("Kernel", "overlay", "no such device").unless(
            false,
            State::Missing,
            "images have no writable layer",
            "modprobe overlay",
        );
        insta::assert_snapshot!(bad.text(), @r"
          missing  overlay: no such device
                   costs: images have no writable layer
                   remedy: modprobe overlay
        ");
        insta::assert_snapshot!(bad.json().to_string(), @r#"{"area":"Kernel","costs":"images have no writable layer","found":"no such device","name":"overlay","remedy":"modprobe overlay","state":"missing"}"#);
    }
}
