//! `berth version`.

use berth_base::{protocol, state};
use clap::Args;
use serde_json::{Value, json};

use super::{Context, Outcome};
use crate::template::Surroundings;
use crate::view::{json as json_view, listing};

/// Show the version.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(crate) struct Version {
    /// json, or a Go template such as {{.Client.Version}}
    #[arg(short, long, value_name = "FORMAT", allow_hyphen_values = true)]
    format: Option<String>,
}

impl Version {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let about = about(context);
        match self.format.as_deref() {
            None => context.out.text(&text(&about))?,
            Some("json") => context.out.line(&json_view::line(&about))?,
            Some(template) => {
                let template = listing::template(template)?;
                let line = template.render(&about, Surroundings::default());
                context.out.line(&line.map_err(listing::refuse)?)?;
            }
        }
        Ok(0)
    }
}

fn about(context: &Context) -> Value {
    let kernel = rustix::system::uname();
    json!({
        "Client": {
            "Version": env!("CARGO_PKG_VERSION"),
            "StateVersion": state::STATE_VERSION,
            "ProtocolVersion": protocol::VERSION,
            "Os": std::env::consts::OS,
            "Arch": architecture(),
            "KernelVersion": kernel.release().to_string_lossy(),
            "Runtime": context.config.runtime_binary,
            "Context": "default",
        },
        // There is no daemon: the engine is the client.
        "Server": {
            "Platform": {"Name": "Berth"},
            "Components": [
                {"Name": "Engine", "Version": env!("CARGO_PKG_VERSION"), "Details": {}},
                {"Name": "berth-runtime", "Version": env!("CARGO_PKG_VERSION"), "Details": {}},
            ],
            "Version": env!("CARGO_PKG_VERSION"),
            "Os": std::env::consts::OS,
            "Arch": architecture(),
            "KernelVersion": kernel.release().to_string_lossy(),
            "Experimental": false,
        },
    })
}

/// The architecture in Go's words, as Docker shows it.
pub(super) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn text(about: &Value) -> String {
    let client = &about["Client"];
    let show = |key: &str| match &client[key] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let lines = [
        ("Version", show("Version")),
        ("State version", show("StateVersion")),
        ("Protocol version", show("ProtocolVersion")),
        ("OS/Arch", format!("{}/{}", show("Os"), show("Arch"))),
        ("Kernel", show("KernelVersion")),
        ("Runtime", show("Runtime")),
    ];
    let mut text = String::from("Client: Berth\n");
    for (name, value) in lines {
        text.push_str(&format!(" {:<18}{value}\n", format!("{name}:")));
    }
    text
}
