//! Manifests and indexes, as registries, layouts and archives have them: OCI's and Docker's.
//!
//! Only what is needed is read; unknown fields are ignored, since blobs are kept as they came.

use std::collections::BTreeMap;
use std::fmt;

use berth_base::Digest;
use serde::{Deserialize, Serialize};

use crate::ImageError;
use crate::config::null_is_default;

/// The longest manifest or index that is read (distribution-spec lets registries refuse more).
pub const MANIFEST_MAX_BYTES: u64 = 4 << 20;
/// The longest image configuration that is read.
pub const CONFIG_MAX_BYTES: u64 = 8 << 20;
/// The most layers an image may have; overlayfs stacks at most 500, Docker 127.
pub const LAYERS_MAX: usize = 500;

/// Media types (image-spec, media-types.md, and Docker's image manifest v2 schema 2).
pub mod media {
    /// An index.
    pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// A manifest.
    pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    /// A configuration.
    pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    /// A layer, not compressed.
    pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
    /// A layer, by gzip.
    pub const LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
    /// A layer, by zstd.
    pub const LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
    /// Docker's index.
    pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// Docker's manifest.
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    /// Docker's configuration.
    pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
    /// Docker's layer, by gzip.
    pub const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    /// Docker's layer, not compressed.
    pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
}

/// How a layer's tar is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

/// What a media type makes of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Manifests for several platforms.
    Index,
    /// One image.
    Manifest,
    /// Its configuration.
    Config,
    /// One of its layers.
    Layer(Compression),
}

/// A media type that may be any text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct MediaType(pub String);

impl MediaType {
    /// What it says of the blob; `None` for one that this build does not know.
    pub fn kind(&self) -> Option<Kind> {
        // Parameters, such as "; charset=utf-8", say nothing of the kind.
        let base = self.0.split(';').next().unwrap_or_default().trim();
        // Layers that were not to be distributed are blobs like others (image-spec 1.1, layer.md).
        let plain = base
            .replace(".nondistributable", "")
            .replace(".foreign", "");
        Some(match plain.as_str() {
            media::INDEX | media::DOCKER_LIST => Kind::Index,
            media::MANIFEST | media::DOCKER_MANIFEST => Kind::Manifest,
            media::CONFIG | media::DOCKER_CONFIG => Kind::Config,
            media::LAYER | media::DOCKER_LAYER => Kind::Layer(Compression::None),
            media::LAYER_GZIP | media::DOCKER_LAYER_GZIP => Kind::Layer(Compression::Gzip),
            media::LAYER_ZSTD => Kind::Layer(Compression::Zstd),
            _ => return None,
        })
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for MediaType {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// Names a blob (image-spec, descriptor.md).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What it is.
    pub media_type: MediaType,
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// Elsewhere to fetch it from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// Anything else.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub annotations: BTreeMap<String, String>,
    /// Which platform an entry of an index is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
}

impl Descriptor {
    /// Names a blob by the three things that matter.
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.into(),
            digest,
            size,
            urls: Vec::new(),
            annotations: BTreeMap::new(),
            platform: None,
        }
    }
}

/// A platform, `OS/ARCHITECTURE[/VARIANT]`.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Platform {
    /// GOARCH: `amd64`, `arm64`.
    #[serde(default)]
    pub architecture: String,
    /// GOOS: `linux`.
    #[serde(default)]
    pub os: String,
    /// Such as `v8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Platform {
    /// That of this build.
    pub fn host() -> Self {
        let (architecture, variant) = match std::env::consts::ARCH {
            "x86_64" => ("amd64", None),
            "aarch64" => ("arm64", Some("v8")),
            "arm" => ("arm", Some("v7")),
            "powerpc64" => ("ppc64le", None),
            other => (other, None),
        };
        Self {
            architecture: architecture.into(),
            os: "linux".into(),
            variant: variant.map(str::to_owned),
        }
    }

    /// Reads `OS/ARCH[/VARIANT]` or `ARCH`; `None` where it is neither.
    pub fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split('/').collect();
        let sound = |part: &&str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        };
        if !parts.iter().all(sound) {
            return None;
        }
        let (os, architecture, variant) = match parts.as_slice() {
            [arch] => ("linux", *arch, None),
            [os, arch] => (*os, *arch, None),
            [os, arch, variant] => (*os, *arch, Some(*variant)),
            _ => return None,
        };
        let architecture = match architecture {
            "x86_64" | "x86-64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        Some(Self {
            architecture: architecture.to_owned(),
            os: os.to_owned(),
            variant: variant.map(str::to_owned),
        })
    }

    /// How well an entry of an index serves this platform: `None` not at all, else more is better.
    pub fn match_of(&self, offered: &Self) -> Option<u8> {
        if self.os != offered.os || self.architecture != offered.architecture {
            return None;
        }
        match (&self.variant, &offered.variant) {
            (a, b) if a == b => Some(3),
            (None, Some(_)) | (Some(_), None) => Some(2),
            // An older variant of the same architecture still runs: v6 on v7.
            (Some(wanted), Some(offered)) if offered < wanted => Some(1),
            _ => None,
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

/// A manifest (image-spec, manifest.md).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// Its own media type; OCI's may lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// The configuration.
    pub config: Descriptor,
    /// The layers, the lowest first.
    pub layers: Vec<Descriptor>,
    /// Anything else.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub annotations: BTreeMap<String, String>,
}

/// An index (image-spec, image-index.md).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// Its own media type; OCI's may lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// One for each platform.
    #[serde(default)]
    pub manifests: Vec<Descriptor>,
    /// Anything else.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub annotations: BTreeMap<String, String>,
}

impl Index {
    /// The best entry for a platform. Attestations and the like have the platform
    /// `unknown/unknown` and serve nobody.
    pub fn choose(&self, platform: &Platform) -> Option<&Descriptor> {
        let score = |entry: &&Descriptor| match &entry.platform {
            Some(offered) => platform.match_of(offered).unwrap_or(0),
            // Without a word about it, whoever has but one entry means it for everybody.
            None => u8::from(self.manifests.len() == 1),
        };
        // The first of the best: max_by_key would answer the last.
        let best = self.manifests.iter().map(|entry| score(&entry)).max()?;
        self.manifests
            .iter()
            .find(|entry| best > 0 && score(entry) == best)
    }

    /// The platforms on offer, for an error message.
    pub fn platforms(&self) -> Vec<String> {
        let offered = self.manifests.iter().filter_map(|m| m.platform.as_ref());
        offered
            .filter(|p| p.os != "unknown")
            .map(ToString::to_string)
            .collect()
    }
}

/// What a manifest's place may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Document {
    /// Several platforms.
    Index(Index),
    /// One image.
    Manifest(Manifest),
}

/// Reads a manifest or index. `media_type` is what the registry, or the descriptor, says it is;
/// where that says nothing, and the document does not either, its shape decides. A document that
/// could be read as both is refused (CVE-2021-41190).
pub fn parse_document(
    what: &str,
    bytes: &[u8],
    media_type: Option<&MediaType>,
) -> Result<Document, ImageError> {
    let malformed = |why: String| ImageError::malformed(what, why);
    if bytes.len() as u64 > MANIFEST_MAX_BYTES {
        return Err(malformed(format!(
            "a manifest of {} bytes is too long",
            bytes.len()
        )));
    }
    let shape: Shape =
        serde_json::from_slice(bytes).map_err(|e| malformed(format!("it is no manifest: {e}")))?;
    if shape.schema_version == 1 {
        return Err(ImageError::unsupported(
            what,
            "it has Docker's manifest schema 1, which no digest protects; push it again with a current client",
        ));
    }
    let is_index = shape.manifests.is_some();
    let is_manifest = shape.layers.is_some() || shape.config.is_some();
    let by_shape = match (is_index, is_manifest) {
        (true, false) => Kind::Index,
        (false, true) => Kind::Manifest,
        (true, true) => {
            return Err(malformed(
                "it claims to be both an index and a manifest".into(),
            ));
        }
        (false, false) => return Err(malformed("it has neither manifests nor layers".into())),
    };
    for said in [media_type, shape.media_type.as_ref()]
        .into_iter()
        .flatten()
    {
        match said.kind() {
            Some(kind) if kind == by_shape => {}
            Some(_) => {
                return Err(malformed(format!(
                    "its media type {said} does not fit its content"
                )));
            }
            None if is_vague(said) => {}
            None => {
                return Err(ImageError::unsupported(
                    what,
                    format!("its media type is {said}, which is no image"),
                ));
            }
        }
    }
    let read_error = |e: serde_json::Error| malformed(format!("it is no manifest: {e}"));
    match by_shape {
        Kind::Index => Ok(Document::Index(
            serde_json::from_slice(bytes).map_err(read_error)?,
        )),
        _ => {
            let manifest: Manifest = serde_json::from_slice(bytes).map_err(read_error)?;
            if manifest.layers.len() > LAYERS_MAX {
                let count = manifest.layers.len();
                return Err(malformed(format!(
                    "it has {count} layers, at most {LAYERS_MAX} are possible"
                )));
            }
            Ok(Document::Manifest(manifest))
        }
    }
}

/// As much of a document as tells which of the two it is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    #[serde(default)]
    schema_version: u32,
    media_type: Option<MediaType>,
    manifests: Option<serde::de::IgnoredAny>,
    layers: Option<serde::de::IgnoredAny>,
    config: Option<serde::de::IgnoredAny>,
}

/// What servers say that know no better.
fn is_vague(media_type: &MediaType) -> bool {
    let base = media_type.0.split(';').next().unwrap_or_default().trim();
    matches!(
        base,
        "" | "application/json" | "application/octet-stream" | "text/plain"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor(os: &str, arch: &str, variant: Option<&str>) -> Descriptor {
        let mut entry = Descriptor::new(media::MANIFEST, Digest::sha256(&[1; 32]), 1);
        entry.platform = Some(Platform {
            os: os.into(),
            architecture: arch.into(),
            variant: variant.map(str::to_owned),
        });
        entry
    }

    fn index(manifests: Vec<Descriptor>) -> Index {
        Index {
            schema_version: 2,
            media_type: None,
            manifests,
            annotations: BTreeMap::new(),
        }
    }

    #[test]
    fn platforms_are_chosen() {
        let index = index(vec![
            descriptor("linux", "arm", Some("v6")),
            descriptor("linux", "arm", Some("v7")),
            descriptor("linux", "amd64", None),
            descriptor("unknown", "unknown", None),
        ]);
        let chosen = |text: &str| {
            let platform = Platform::parse(text).unwrap();
            index
                .choose(&platform)
                .and_then(|d| d.platform.as_ref())
                .map(ToString::to_string)
        };
        assert_eq!(chosen("linux/amd64").as_deref(), Some("linux/amd64"));
        assert_eq!(chosen("x86_64").as_deref(), Some("linux/amd64"));
        assert_eq!(chosen("linux/arm/v7").as_deref(), Some("linux/arm/v7"));
        assert_eq!(chosen("linux/arm/v8").as_deref(), Some("linux/arm/v6"));
        assert_eq!(chosen("linux/arm/v5"), None);
        assert_eq!(chosen("linux/s390x"), None);
        assert!(Platform::parse("a/b/c/d").is_none() && Platform::parse("a//b").is_none());
    }

    fn parse(text: &str, media_type: Option<&str>) -> Result<Document, ImageError> {
        parse_document(
            "it",
            text.as_bytes(),
            media_type.map(MediaType::from).as_ref(),
        )
    }

    #[test]
    fn documents() {
        let digest = Digest::sha256(&[1; 32]);
        let blob =
            format!(r#"{{"mediaType":"x","digest":"{digest}","size":3,"annotations":null}}"#);
        let manifest = format!(
            r#"{{"schemaVersion":2,"config":{blob},"layers":[{blob}],"annotations":null}}"#
        );
        assert!(matches!(parse(&manifest, None), Ok(Document::Manifest(_))));
        assert!(matches!(
            parse(&manifest, Some(media::DOCKER_MANIFEST)),
            Ok(Document::Manifest(_))
        ));
        assert!(matches!(
            parse(&manifest, Some("application/json; x=y")),
            Ok(Document::Manifest(_))
        ));
        let index = format!(r#"{{"schemaVersion":2,"manifests":[{blob}]}}"#);
        assert!(matches!(
            parse(&index, Some(media::INDEX)),
            Ok(Document::Index(_))
        ));
        let why = |text: &str, media_type| parse(text, media_type).unwrap_err().to_string();
        insta::assert_snapshot!(why(&manifest, Some(media::INDEX)), @"cannot use it: its media type application/vnd.oci.image.index.v1+json does not fit its content");
        insta::assert_snapshot!(why(&manifest, Some("text/html")), @"cannot use it: its media type is text/html, which is no image");
        let both = format!(r#"{{"schemaVersion":2,"config":{blob},"layers":[],"manifests":[]}}"#);
        insta::assert_snapshot!(why(&both, None), @"cannot use it: it claims to be both an index and a manifest");
        insta::assert_snapshot!(why("{}", None), @"cannot use it: it has neither manifests nor layers");
        insta::assert_snapshot!(why(r#"{"schemaVersion":1,"fsLayers":[]}"#, None), @"cannot use it: it has Docker's manifest schema 1, which no digest protects; push it again with a current client");
        assert!(why("<html>", None).starts_with("cannot use it: it is no manifest:"));
        let negative = manifest.replace("\"size\":3", "\"size\":-3");
        assert!(parse(&negative, None).is_err());
    }
}
