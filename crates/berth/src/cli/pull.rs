//! `berth pull`.

use berth_base::ErrorClass;
use berth_image::registry::{Client, PlatformChoice, PulledImage};
use berth_image::{ImageError, ImageRef, Platform};
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
    /// Accepted for Docker's sake: images are checked by their digests, and no notary is asked
    #[arg(long)]
    disable_content_trust: bool,
    /// Download every tag of the repository
    #[arg(short, long)]
    all_tags: bool,
    /// The platform to take where there are several, such as linux/arm64
    #[arg(long, value_name = "OS/ARCH", value_parser = platform)]
    platform: Option<Platform>,
    /// Images, [REGISTRY/]NAME[:TAG][@DIGEST]; with --all-tags the name alone
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
}

/// Makes sure that the image of `run` and `create` is here, as `--pull` says.
///
/// Progress goes to standard error: what `run` prints is the container's.
pub(super) fn ensure(context: &Context, wanted: Option<WantedImage<'_>>) -> Result<(), Failure> {
    let Some(wanted) = wanted.filter(|wanted| !wanted.name.is_empty()) else {
        return Ok(());
    };
    if wanted.name == HOST {
        return for_platform(&wanted, &Platform::host());
    }
    let store = context.engine.images();
    let found = match wanted.policy {
        PullPolicy::Always => false,
        policy => match store.resolve(wanted.name) {
            Ok(image) if policy == PullPolicy::Never => {
                return for_platform(&wanted, &image.config.platform);
            }
            Ok(image) => is_for(&wanted, &image.config.platform),
            Err(ImageError::NoImage(_)) if policy == PullPolicy::Missing => false,
            // What is wrong with it, creating the container says.
            Err(_) => return Ok(()),
        },
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

fn is_for(wanted: &WantedImage<'_>, offered: &Platform) -> bool {
    let asked = wanted.platform;
    asked.is_none_or(|platform| platform.match_of(offered).is_some())
}

/// Refuses an image of another platform than was asked for, where nobody is to be asked for one.
fn for_platform(wanted: &WantedImage<'_>, offered: &Platform) -> Result<(), Failure> {
    let (name, Some(platform)) = (wanted.name, wanted.platform) else {
        return Ok(());
    };
    if is_for(wanted, offered) {
        return Ok(());
    }
    let next = match name {
        HOST => "it is the host itself; leave --platform out",
        _ => "leave --platform out, or let it be pulled with --pull missing",
    };
    let text = format!("the image {name} here is for {offered}, not for {platform}; {next}");
    Err(Failure::new(ErrorClass::Conflict, text).on(name))
}

impl Pull {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let parse = match self.all_tags {
            true => registry::repository,
            false => registry::reference,
        };
        let parsed = self.images.iter().map(|text| parse(text));
        let names: Vec<ImageRef> = parsed.collect::<Result<_, _>>()?;
        let client = registry::client()?;
        let choice = match &self.platform {
            Some(platform) => PlatformChoice::Only(platform.clone()),
            None => PlatformChoice::Host,
        };
        let mut code = 0;
        for name in &names {
            let pulled = match self.all_tags {
                true => self.all_tags_of(context, &client, name, &choice),
                false => self.one(context, &client, name, &choice),
            };
            match pulled {
                Ok(pulled) => code = code.max(pulled),
                Err(failure) => code = fail(context, &failure)?,
            }
        }
        Ok(code)
    }

    fn one(
        &self,
        context: &mut Context,
        client: &Client,
        name: &ImageRef,
        choice: &PlatformChoice,
    ) -> Outcome {
        let pulled = self.pull(context, client, name, choice)?;
        if !self.quiet {
            let digest = format!("Digest: {}", pulled.repo_digest);
            context.out.line(&digest)?;
            context.out.line(&status(pulled.is_new, &name.familiar()))?;
        }
        context.out.line(&name.to_string())?;
        Ok(0)
    }

    /// Pulls every tag of a repository. One that cannot be used, such as a signature, leaves the
    /// others; a registry that does not answer any more ends it.
    fn all_tags_of(
        &self,
        context: &mut Context,
        client: &Client,
        name: &ImageRef,
        choice: &PlatformChoice,
    ) -> Outcome {
        let bars = Bars::new(context.console, self.quiet);
        let tags = berth_image::registry::tags(client, name, &bars);
        drop(bars);
        let tags = tags.map_err(|error| Failure::from(error).on(name.familiar_name()))?;
        let (mut code, mut is_new) = (0, false);
        for tag in &tags {
            if !self.quiet {
                let label = tag.tag().unwrap_or_default();
                let from = tag.repository();
                context.out.line(&format!("{label}: Pulling from {from}"))?;
                context.out.flush()?;
            }
            match self.pull(context, client, tag, choice) {
                Ok(pulled) => {
                    is_new |= pulled.is_new;
                    if !self.quiet {
                        let digest = format!("Digest: {}", pulled.repo_digest);
                        context.out.line(&digest)?;
                    }
                }
                Err(failure) if failure.class == ErrorClass::Unavailable => return Err(failure),
                Err(failure) => code = fail(context, &failure)?,
            }
        }
        if code == 0 {
            if !self.quiet {
                context.out.line(&status(is_new, &name.familiar_name()))?;
            }
            context.out.line(&name.name())?;
        }
        Ok(code)
    }

    fn pull(
        &self,
        context: &Context,
        client: &Client,
        name: &ImageRef,
        choice: &PlatformChoice,
    ) -> Result<PulledImage, Failure> {
        let bars = Bars::new(context.console, self.quiet);
        let pulled = context.engine.pull_image(client, name, choice, &bars);
        drop(bars);
        Ok(pulled?)
    }
}

fn status(is_new: bool, name: &str) -> String {
    let status = match is_new {
        true => "Downloaded newer image for",
        false => "Image is up to date for",
    };
    format!("Status: {status} {name}")
}

/// Tells of a failure that leaves work to do.
fn fail(context: &mut Context, failure: &Failure) -> Outcome {
    context.out.flush()?;
    context.console.fail(failure);
    Ok(EXIT_FAILURE)
}
