//! What goes with each record: `attrs` of json-file, fields of the journal.

use std::collections::BTreeMap;

use berth_base::state::LogDriver;

use super::LogSettings;
use crate::Container;

/// What a tag's template may name.
const TAG_FIELDS: [&str; 8] = [
    "ID",
    "FullID",
    "Name",
    "ImageName",
    "ImageID",
    "ImageFullID",
    "Command",
    "DaemonName",
];

/// Finds out whether a template of a tag can be filled in.
pub(super) fn check_tag(template: &str) -> Result<(), String> {
    fill(template, &|_| String::new()).map(drop)
}

/// Fills in `{{.Name}}`, `{{.ID}}` and so on.
fn fill(template: &str, value: &dyn Fn(&str) -> String) -> Result<String, String> {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((plain, after)) = rest.split_once("{{") {
        let (action, after) = after.split_once("}}").ok_or("a }} is missing")?;
        let field = action.trim().strip_prefix('.').unwrap_or_default();
        if !TAG_FIELDS.contains(&field) {
            let known = TAG_FIELDS
                .map(|field| format!("{{{{.{field}}}}}"))
                .join(", ");
            return Err(format!("there is no {{{{{action}}}}}; there are {known}"));
        }
        filled.push_str(plain);
        filled.push_str(&value(field));
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// The fields of a container's records.
pub(super) fn of(container: &Container, settings: &LogSettings) -> BTreeMap<String, String> {
    let create = &container.create;
    let options = &create.options;
    let labels = settings.labels.iter();
    let labels = labels.filter_map(|name| options.labels.get_key_value(name));
    let mut fields: BTreeMap<String, String> = labels
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    for pair in &options.env {
        if let Some((name, value)) = pair.split_once('=')
            && settings.env.iter().any(|wanted| wanted == name)
        {
            fields.insert(name.to_owned(), value.to_owned());
        }
    }
    let is_journal = settings.driver == LogDriver::Journald;
    let template = match (&settings.tag, is_journal) {
        (Some(template), _) => Some(template.as_str()),
        (None, true) => Some("{{.ID}}"),
        (None, false) => None,
    };
    let tag = template.and_then(|template| fill(template, &|name| tag_field(container, name)).ok());
    if !is_journal {
        fields.extend(tag.map(|tag| ("tag".to_owned(), tag)));
        return fields;
    }
    let mut fields: BTreeMap<String, String> = fields
        .into_iter()
        .filter_map(|(name, value)| Some((journal_name(&name)?, value)))
        .collect();
    let tag = tag.unwrap_or_default();
    for (name, value) in [
        ("CONTAINER_ID", container.id.short().to_owned()),
        ("CONTAINER_ID_FULL", container.id.to_string()),
        ("CONTAINER_NAME", container.name.as_str().to_owned()),
        ("CONTAINER_TAG", tag.clone()),
        ("SYSLOG_IDENTIFIER", tag),
        ("IMAGE_NAME", create.image.clone()),
    ] {
        fields.insert(name.to_owned(), value);
    }
    fields
}

fn tag_field(container: &Container, field: &str) -> String {
    let create = &container.create;
    let image = || match &create.source {
        Some(source) => source.id.to_string(),
        None => create.image.clone(),
    };
    match field {
        "ID" => container.id.short().to_owned(),
        "FullID" => container.id.to_string(),
        "Name" => container.name.as_str().to_owned(),
        "ImageName" => create.image.clone(),
        "ImageFullID" => image(),
        "ImageID" => {
            let full = image();
            let digits = full.strip_prefix("sha256:").unwrap_or(&full);
            digits.chars().take(12).collect()
        }
        "Command" => create.argv.join(" "),
        _ => "berth".to_owned(),
    }
}

/// Names of fields are capital letters, digits and underscores, a letter first (journald refuses
/// others).
fn journal_name(name: &str) -> Option<String> {
    let name: String = name
        .to_ascii_uppercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    let name = name.trim_start_matches(|c: char| !c.is_ascii_alphabetic());
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags() {
        let value = |field: &str| field.to_lowercase();
        assert_eq!(
            fill("a/{{.Name}}/{{ .ID }}!", &value).unwrap(),
            "a/name/id!"
        );
        assert_eq!(fill("plain", &value).unwrap(), "plain");
        let unknown = fill("{{.Nam}}", &value).unwrap_err();
        assert!(
            unknown.starts_with("there is no {{.Nam}}; there are {{.ID}}, "),
            "{unknown}"
        );
        assert_eq!(fill("{{.Name", &value).unwrap_err(), "a }} is missing");
    }

    #[test]
    fn names_of_fields() {
        assert_eq!(journal_name("com.example/a-1").unwrap(), "COM_EXAMPLE_A_1");
        assert_eq!(journal_name("_9x").unwrap(), "X");
        assert_eq!(journal_name("___"), None);
    }
}
