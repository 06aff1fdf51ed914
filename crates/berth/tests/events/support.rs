//! What a journal says.

use serde_json::Value;

use crate::cli::Berth;

/// All events so far, as Docker's JSON.
pub fn all(berth: &Berth) -> Vec<Value> {
    let text = berth.ok(&["events", "--until", "0s", "--format", "json"]);
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// `TYPE ACTION` of the events about an object, and about those that name it as their container.
pub fn about(berth: &Berth, id: &str) -> Vec<String> {
    let is_about = |event: &&Value| {
        event["Actor"]["ID"] == id || event["Actor"]["Attributes"]["container"] == id
    };
    let word = |event: &Value, key: &str| event[key].as_str().unwrap().to_owned();
    let all = all(berth);
    let about = all.iter().filter(is_about);
    about
        .map(|event| format!("{} {}", word(event, "Type"), word(event, "Action")))
        .collect()
}
