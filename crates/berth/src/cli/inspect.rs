//! `berth inspect`.

use berth_base::ErrorClass;
use berth_base::state::VolumeName;
use berth_image::ImageRef;
use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::Value;

use super::failure::{EXIT_FAILURE, Failure};
use super::network::Seen;
use super::{Context, Outcome, image, network};
use crate::template::{Surroundings, Template, add_zeros};
use crate::view::inspect::{Inspect as Container, inspect, zeros};
use crate::view::log::LogView;
use crate::view::{json, listing, volume};

/// Show everything about containers, images, networks and volumes.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(crate) struct Inspect {
    /// json, or a Go template such as {{.State.Pid}}
    #[arg(short, long, value_name = "FORMAT", allow_hyphen_values = true)]
    format: Option<String>,
    /// Add up what containers take on disk
    #[arg(short, long)]
    size: bool,
    /// What to inspect: container, image, network or volume; without, whichever is found first, in
    /// this order
    #[arg(long = "type", value_name = "TYPE", hide_possible_values = true)]
    kind: Option<Kind>,
    /// Their names, or ids
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
}

/// What there is to inspect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Container,
    Image,
    Network,
    Volume,
}

impl Inspect {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let seen = Seen::new();
        each(
            context,
            &self.names,
            self.format.as_deref(),
            |context, name| self.look_up(context, name, &seen),
        )
    }
}

/// Shows each of several things as `--format` says: a line of its template for each, else all of
/// them as one JSON list. What cannot be found is reported, and the others are still shown.
pub(super) fn each<V: Serialize>(
    context: &mut Context,
    names: &[String],
    format: Option<&str>,
    look_up: impl Fn(&Context, &str) -> Result<V, Failure>,
) -> Outcome {
    let template = match format {
        None | Some("json") => None,
        Some(text) => Some(listing::template(text)?),
    };
    let mut code = 0;
    let mut found = Vec::new();
    for name in names {
        match (look_up(context, name), &template) {
            (Ok(view), Some(template)) => show(context, template, &view)?,
            (Ok(view), None) => found.push(view),
            (Err(failure), _) => {
                context.out.flush()?;
                context.console.fail(&failure);
                code = EXIT_FAILURE;
            }
        }
    }
    if template.is_none() {
        let text = match format {
            Some(_) => json::line(&found),
            None => json::pretty(&found),
        };
        context.out.line(&text)?;
    }
    Ok(code)
}

impl Kind {
    /// Whether something of this kind can have such a name: else it is just not there.
    fn may_be_called(self, name: &str) -> bool {
        match self {
            Self::Container => true,
            Self::Image => name.parse::<ImageRef>().is_ok() || name.starts_with("sha256:"),
            Self::Network => true,
            Self::Volume => name.parse::<VolumeName>().is_ok(),
        }
    }
}

/// What was found.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum View {
    Container(Box<Container>),
    Sized(Box<SizedContainer>),
    Other(Value),
}

/// A container with what it takes on disk.
#[derive(Serialize)]
pub(super) struct SizedContainer {
    #[serde(flatten)]
    container: Container,
    #[serde(rename = "SizeRw")]
    own_bytes: u64,
    #[serde(rename = "SizeRootFs")]
    all_bytes: u64,
}

impl Inspect {
    fn look_up(&self, context: &Context, name: &str, seen: &Seen) -> Result<View, Failure> {
        let of_kind = |kind| match kind {
            Kind::Container => container(context, name, self.size),
            Kind::Image => Ok(View::Other(image::view(context, name)?)),
            Kind::Network => Ok(View::Other(network::inspected(context, name, seen)?)),
            Kind::Volume => Ok(View::Other(volume::inspect(&context.engine.volume(name)?))),
        };
        if let Some(kind) = self.kind {
            return of_kind(kind);
        }
        let kinds = [Kind::Container, Kind::Image, Kind::Network, Kind::Volume];
        for kind in kinds.into_iter().filter(|kind| kind.may_be_called(name)) {
            match of_kind(kind) {
                Err(failure) if failure.class == ErrorClass::NotFound => {}
                found => return found,
            }
        }
        let text = format!("no container, image, network or volume is called {name}");
        Err(Failure::new(ErrorClass::NotFound, text).on(name))
    }
}

/// A container in Docker's shape. `size` adds up its files, which takes time.
pub(super) fn container(context: &Context, name: &str, size: bool) -> Result<View, Failure> {
    let id = context.engine.resolve(name)?;
    let found = context.engine.inspect_with_outcome(&id)?;
    context.engine.look_after([&found]);
    let log = LogView::new(
        context.engine.log_path(&found),
        context.engine.log_lost(&found),
    );
    let particulars = context.engine.particulars(&found);
    let container = inspect(&found, log, context.engine.exec_ids(&found), &particulars);
    if !size {
        return Ok(View::Container(Box::new(container)));
    }
    let (own_bytes, all_bytes) = context.engine.container_sizes(&found);
    Ok(View::Sized(Box::new(SizedContainer {
        container,
        own_bytes,
        all_bytes,
    })))
}

fn show(context: &mut Context, template: &Template, view: &impl Serialize) -> Result<(), Failure> {
    let mut value = serde_json::to_value(view).unwrap_or(Value::Null);
    if context.out.is_terminal() {
        value = listing::escape_texts(&value);
    }
    let zeros = zeros(&value);
    add_zeros(&mut value, &zeros);
    let line = template.render(&value, Surroundings::default());
    context.out.line(&line.map_err(listing::refuse)?)
}
