//! `berth push`.

use clap::Args;

use super::progress::Bars;
use super::{Context, Outcome, registry};

/// Upload an image to a registry.
///
/// The name says where to: berth tag gives an image a further one.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(crate) struct Push {
    /// Print nothing but the name
    #[arg(short, long)]
    quiet: bool,
    /// The image, [REGISTRY/]NAME[:TAG]
    #[arg(value_name = "NAME[:TAG]")]
    name: String,
}

impl Push {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let reference = super::image::new_name(&self.name)?;
        let client = registry::client()?;
        let bars = Bars::new(context.console, self.quiet);
        let pushed = context.engine.push_image(&client, &reference, &bars);
        drop(bars);
        let digest = pushed?;
        let line = match self.quiet {
            true => reference.to_string(),
            false => format!("{}: digest: {digest}", reference.familiar()),
        };
        context.out.line(&line)?;
        Ok(0)
    }
}
