//! `berth image inspect`.

use berth_image::ImageRef;
use clap::Args;
use serde_json::{Value, json};

use crate::cli::failure::Failure;
use crate::cli::inspect::each;
use crate::cli::{Context, Outcome};

/// Show everything about images.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(crate) struct Inspect {
    /// json, or a Go template such as {{.Config.Env}}
    #[arg(short, long, value_name = "FORMAT", allow_hyphen_values = true)]
    format: Option<String>,
    /// Images, by name or id
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
}

impl Inspect {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        each(context, &self.images, self.format.as_deref(), view)
    }
}

/// The configuration with the fields that Docker always has, empty ones where an image has none.
fn with_defaults(config: Value) -> Value {
    let mut whole = json!({
        "Cmd": null,
        "Entrypoint": null,
        "Env": null,
        "Labels": null,
        "OnBuild": null,
        "User": "",
        "Volumes": null,
        "WorkingDir": "",
    });
    if let (Value::Object(whole), Value::Object(given)) = (&mut whole, config) {
        whole.extend(given);
    }
    whole
}

/// An image in Docker's shape.
pub(in crate::cli) fn view(context: &Context, name: &str) -> Result<Value, Failure> {
    let image = context
        .engine
        .images()
        .resolve(name)
        .map_err(Failure::from)?;
    let store = context.engine.images();
    let config = &image.config;
    let familiar = |names: &[ImageRef]| names.iter().map(ImageRef::familiar).collect::<Vec<_>>();
    let mut layers = image.layers.iter().rev();
    let upper = layers.next().map(|layer| store.layer_fs(&layer.chain_id));
    let lower: Vec<String> = layers
        .map(|layer| store.layer_fs(&layer.chain_id).display().to_string())
        .collect();
    Ok(json!({
        "Id": image.id,
        "Parent": "",
        "DockerVersion": "",
        "Metadata": {"LastTagTime": "0001-01-01T00:00:00Z"},
        "Descriptor": image.manifest,
        "RepoTags": familiar(&image.references),
        "RepoDigests": familiar(&image.repo_digests),
        "Created": config.created,
        "Author": config.author.as_deref().unwrap_or_default(),
        "Comment": config.history.last().and_then(|h| h.comment.as_deref()).unwrap_or_default(),
        "Architecture": config.platform.architecture,
        "Variant": config.platform.variant.as_deref().unwrap_or_default(),
        "Os": config.platform.os,
        "Size": context.engine.image_bytes(&image),
        "Config": with_defaults(json!(config.config)),
        "RootFS": {
            "Type": "layers",
            "Layers": config.rootfs.diff_ids,
        },
        "GraphDriver": {
            "Name": "overlay",
            "Data": {"UpperDir": upper, "LowerDir": lower.join(":")},
        },
        "Berth": {
            "Manifest": image.manifest,
            "Layers": image.layers.iter().map(|layer| json!({
                "Blob": layer.descriptor,
                "DiffId": layer.diff_id,
                "ChainId": layer.chain_id,
                "Unpacked": store.has_layer(&layer.chain_id),
            })).collect::<Vec<_>>(),
        },
    }))
}
