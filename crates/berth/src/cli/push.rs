//! `berth push`.

use berth_base::ErrorClass;
use berth_image::ImageRef;
use clap::Args;

use super::failure::Failure;
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
    /// Accepted for Docker's sake: images are checked by their digests, and no notary is asked
    #[arg(long)]
    disable_content_trust: bool,
    /// Upload every tag of the repository that is here
    #[arg(short, long)]
    all_tags: bool,
    /// The image, [REGISTRY/]NAME[:TAG]; with --all-tags the name alone
    #[arg(value_name = "NAME[:TAG]")]
    name: String,
}

impl Push {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let named = super::image::new_name(&self.name)?;
        let references = match self.all_tags {
            false => vec![named],
            true => self.all_of(context, &named)?,
        };
        let client = registry::client()?;
        for reference in references {
            let bars = Bars::new(context.console, self.quiet);
            let pushed = context.engine.push_image(&client, &reference, &bars);
            drop(bars);
            let digest = pushed?;
            let line = match self.quiet {
                true => reference.to_string(),
                false => format!("{}: digest: {digest}", reference.familiar()),
            };
            context.out.line(&line)?;
            context.out.flush()?;
        }
        Ok(0)
    }

    /// Every tag that a repository has here.
    fn all_of(&self, context: &Context, named: &ImageRef) -> Result<Vec<ImageRef>, Failure> {
        let last = self.name.rsplit('/').next().unwrap_or_default();
        if last.contains([':', '@']) {
            let text = format!("--all-tags takes a name without a tag, not {}", self.name);
            return Err(Failure::usage(text).on(self.name.as_str()));
        }
        let listed = context.engine.images().images().map_err(Failure::from)?;
        let mut found: Vec<ImageRef> = listed
            .into_iter()
            .flat_map(|one| one.references)
            .filter(|one| one.name() == named.name() && one.tag().is_some())
            .collect();
        found.sort_by_key(ToString::to_string);
        if found.is_empty() {
            let text = format!("no image is called {}", self.name);
            return Err(Failure::new(ErrorClass::NotFound, text).on(self.name.as_str()));
        }
        Ok(found)
    }
}
