//! `berth tag`.

use berth_engine::EventObject;
use berth_image::ImageRef;
use clap::Args;

use crate::cli::failure::Failure;
use crate::cli::{Context, Outcome};

/// Give an image another name.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(crate) struct Tag {
    /// The image, by name or id
    #[arg(value_name = "IMAGE")]
    image: String,
    /// The further name, NAME[:TAG]
    #[arg(value_name = "NAME[:TAG]")]
    name: String,
}

impl Tag {
    pub(in crate::cli) fn execute(&self, context: &mut Context) -> Outcome {
        let name: ImageRef = new_name(&self.name)?;
        let store = context.engine.images();
        let image = store.resolve(&self.image).map_err(Failure::from)?;
        let lease = store.lease().map_err(Failure::from)?;
        lease
            .protect(&image.manifest.digest)
            .map_err(Failure::from)?;
        store
            .tag(&lease, Some(&name), &image.manifest, None)
            .map_err(Failure::from)?;
        let (id, name) = (image.id.to_string(), name.familiar());
        context.engine.note(EventObject::Image(&id, &name), "tag");
        Ok(0)
    }
}

/// Reads a name that is to be given: it cannot have a digest, which the content decides.
pub(crate) fn new_name(text: &str) -> Result<ImageRef, Failure> {
    let name: ImageRef = text
        .parse()
        .map_err(|e: berth_image::InvalidReference| Failure::usage(e.to_string()).on(text))?;
    match name.digest() {
        None => Ok(name),
        Some(_) => Err(Failure::usage(format!(
            "cannot give the name {text:?}: a digest is not given but computed; write NAME[:TAG]"
        ))
        .on(text)),
    }
}
