//! `berth pull`.

use berth_image::registry::PlatformChoice;
use berth_image::{ImageError, Platform};
use clap::Args;
use std::io::IsTerminal as _;

use super::failure::{EXIT_FAILURE, Failure};
use super::flags::{PullPolicy, WantedImage};
use super::load::platform;
use super::progress::Bars;
use super::{Context, Outcome, registry};

/// The built-in image, which nobody pulls.
const HOST: &str = "host";

/// Download images from a registry.
///
/// What an interrupted pull has fetched is kept, and the next one goes on from there.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(crate) struct Pull {
    /// Print nothing but the names
    #[arg(short, long)]
    quiet: bool,
    /// The platform to take where there are several, such as linux/arm64
    #[arg(long, value_name = "OS/ARCH", value_parser = platform)]
    platform: Option<Platform>,
    /// Images, [REGISTRY/]NAME[:TAG][@DIGEST]
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
}

/// Makes sure that the image of `run` and `create` is here, as `--pull` says.
///
/// Progress goes to standard error: what `run` prints is the container's.
pub(super) fn ensure(context: &Context, wanted: Option<WantedImage<'_>>) -> Result<(), Failure> {
    let Some(wanted) = wanted.filter(|wanted| wanted.name != HOST && !wanted.name.is_empty())
    else {
        return Ok(());
    };
    let store = context.engine.images();
    let found = match wanted.policy {
        PullPolicy::Never => return Ok(()),
        PullPolicy::Missing => match store.resolve(wanted.name) {
            Ok(image) => wanted
                .platform
                .is_none_or(|p| p.match_of(&image.config.platform).is_some()),
            Err(ImageError::NoImage(_)) => false,
            // What is wrong with it, creating the container says.
            Err(_) => return Ok(()),
        },
        PullPolicy::Always => false,
    };
    if found {
        return Ok(());
    }
    let reference = registry::reference(wanted.name)?;
    let client = registry::client()?;
    let choice = match wanted.platform {
        Some(platform) => PlatformChoice::Only(platform.clone()),
        None => PlatformChoice::Host,
    };
    let bars = Bars::new(context.console, wanted.quiet);
    if !wanted.quiet && std::io::stderr().is_terminal() {
        context.console.say(&format!(
            "no image {} here; pulling it",
            reference.familiar()
        ));
    }
    context
        .engine
        .pull_image(&client, &reference, &choice, &bars)?;
    Ok(())
}

impl Pull {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let parse = |text: &String| registry::reference(text);
        let references: Vec<_> = self.images.iter().map(parse).collect::<Result<_, _>>()?;
        let client = registry::client()?;
        let choice = match &self.platform {
            Some(platform) => PlatformChoice::Only(platform.clone()),
            None => PlatformChoice::Host,
        };
        let mut code = 0;
        for reference in &references {
            let bars = Bars::new(context.console, self.quiet);
            let pulled = context
                .engine
                .pull_image(&client, reference, &choice, &bars);
            drop(bars);
            let pulled = match pulled {
                Ok(pulled) => pulled,
                Err(error) => {
                    context.out.flush()?;
                    context.console.fail(&Failure::from(error));
                    code = EXIT_FAILURE;
                    continue;
                }
            };
            if !self.quiet {
                let familiar = reference.familiar();
                let status = match pulled.is_new {
                    true => "Downloaded newer image for",
                    false => "Image is up to date for",
                };
                context
                    .out
                    .line(&format!("Digest: {}", pulled.repo_digest))?;
                context.out.line(&format!("Status: {status} {familiar}"))?;
            }
            context.out.line(&reference.to_string())?;
        }
        Ok(code)
    }
}
