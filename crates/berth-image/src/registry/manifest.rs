//! Manifests from registries: fetched, verified, the platform chosen.

use berth_base::Digest;
use hyper::Method;
use hyper::header::{ACCEPT, CONTENT_TYPE};

use super::body::Payload;
use super::config::Endpoint;
use super::failure::{Failure, Wish};
use super::line::{Ask, Target};
use super::reply::{expect, is_page, read_small};
use super::session::Session;
use crate::manifest::MANIFEST_MAX_BYTES;
use crate::{
    Descriptor, Document, Hasher, ImageConfig, ImageError, ImageRef, Index, Manifest, MediaType,
    Platform, media, parse_document,
};

/// Which image of several one wants.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum PlatformChoice {
    /// The one for this machine. An image that comes for one platform only is taken as it is.
    #[default]
    Host,
    /// This one or none: `--platform`.
    Only(Platform),
}

impl PlatformChoice {
    fn platform(&self) -> Platform {
        match self {
            Self::Host => Platform::host(),
            Self::Only(platform) => platform.clone(),
        }
    }
}

/// A document as a registry gave it.
pub(super) struct Fetched {
    pub(super) bytes: Vec<u8>,
    pub(super) digest: Digest,
    media_type: Option<MediaType>,
}

/// The manifest of an image.
pub(super) struct Found {
    /// Of the manifest itself.
    pub(super) descriptor: Descriptor,
    pub(super) bytes: Vec<u8>,
    pub(super) manifest: Manifest,
    /// What the reference means at the registry: the manifest or an index.
    pub(super) repo_digest: Digest,
    /// The server that had it.
    pub(super) endpoint: Endpoint,
}

impl Session<'_> {
    /// Finds the manifest that a reference means for a platform; mirrors are asked first.
    pub(super) fn find_manifest(
        &mut self,
        image: &ImageRef,
        choice: &PlatformChoice,
        endpoints: &[Endpoint],
    ) -> Result<Found, ImageError> {
        let wish = Wish {
            registry: image.registry().to_owned(),
            verb: "pull",
            object: image.familiar(),
        };
        let mut last = None;
        for endpoint in endpoints {
            match self.find_at(image, choice, endpoint, &wish) {
                Ok(found) => return Ok(found),
                Err(failure) if endpoint.is_mirror => {
                    let name = &endpoint.name;
                    let why = failure.brief();
                    self.progress.note(&format!(
                        "the mirror {name} does not serve {}: {why}",
                        wish.object
                    ));
                }
                Err(failure) => last = Some(failure),
            }
        }
        let failure = last.unwrap_or_else(|| {
            Failure::Other(ImageError::malformed(
                &wish.object,
                "there is no registry to ask",
            ))
        });
        Err(failure.into_error(&wish))
    }

    fn find_at(
        &mut self,
        image: &ImageRef,
        choice: &PlatformChoice,
        endpoint: &Endpoint,
        wish: &Wish,
    ) -> Result<Found, Failure> {
        let what = image.familiar();
        let repository = image.repository();
        let reference = image.manifest_reference();
        let mut fetched =
            self.fetch_manifest(endpoint, repository, reference, image.digest(), wish)?;
        let repo_digest = fetched.digest.clone();
        // An index of indexes is legal (image-spec, image-index.md); one more level, no loops.
        for _level in 0..2 {
            let document = parse_document(&what, &fetched.bytes, fetched.media_type.as_ref())?;
            match document {
                Document::Manifest(manifest) => {
                    check_image(&what, &manifest)?;
                    return Ok(found(manifest, fetched, repo_digest, endpoint));
                }
                Document::Index(index) => {
                    let entry = choose(&what, &index, choice)?;
                    let digest = &entry.digest;
                    let text = digest.as_str();
                    let next =
                        self.fetch_manifest(endpoint, repository, text, Some(digest), wish)?;
                    let actual = next.bytes.len() as u64;
                    if actual != entry.size {
                        return Err(Failure::Other(ImageError::Size {
                            what: format!("the manifest {text} of {what}"),
                            expected: entry.size,
                            actual,
                        }));
                    }
                    fetched = next;
                }
            }
        }
        let why = "its index leads to further indexes and to no image";
        Err(ImageError::malformed(what, why).into())
    }

    fn fetch_manifest(
        &mut self,
        endpoint: &Endpoint,
        repository: &str,
        reference: &str,
        expected: Option<&Digest>,
        wish: &Wish,
    ) -> Result<Fetched, Failure> {
        let accept = [
            media::INDEX,
            media::DOCKER_LIST,
            media::MANIFEST,
            media::DOCKER_MANIFEST,
        ];
        let scope = pull_scope(repository);
        let ask = Ask {
            endpoint,
            method: Method::GET,
            target: Target::Path(format!("{repository}/manifests/{reference}")),
            headers: accept.map(|kind| (ACCEPT, kind.to_owned())).into(),
            payload: Payload::Empty,
            scope: &scope,
            repository,
        };
        let what = format!("the manifest {reference} of {}", wish.object);
        self.retried(wish, async |line| {
            let idle = line.client.tuning().idle;
            let reply = line.ask(&ask).await?;
            let reply = expect(reply, &[200], &endpoint.name, idle).await?;
            if is_page(reply.response.headers()) {
                return Err(page_instead(endpoint, &what));
            }
            let headers = reply.response.headers();
            let said = |name: &str| headers.get(name)?.to_str().ok().map(str::to_owned);
            let media_type = said(CONTENT_TYPE.as_str()).map(MediaType);
            let header = said("docker-content-digest");
            let bytes = read_small(reply, MANIFEST_MAX_BYTES, &what, idle).await?;
            let digest = verify(&what, &bytes, expected, header.as_deref())?;
            Ok(Fetched {
                bytes,
                digest,
                media_type,
            })
        })
    }
}

/// What a token must allow for pulling.
pub(super) fn pull_scope(repository: &str) -> String {
    format!("repository:{repository}:pull")
}

/// A page with status 200 where a document or a blob was to come.
pub(super) fn page_instead(endpoint: &Endpoint, what: &str) -> Failure {
    let name = &endpoint.name;
    Failure::Other(ImageError::Registry {
        class: berth_base::ErrorClass::Unavailable,
        message: format!(
            "cannot use {what}: {name} answered with a web page instead; a proxy or a login page of the network may be in between, or it is no registry"
        ),
    })
}

/// The digest of a document, which must be the one that was asked for. The registry's own word on
/// it (distribution-spec, "Pulling manifests") must be true as well, where it is a digest at all.
fn verify(
    what: &str,
    bytes: &[u8],
    expected: Option<&Digest>,
    header: Option<&str>,
) -> Result<Digest, ImageError> {
    let header: Option<Digest> = header.and_then(|text| text.parse().ok());
    for wanted in expected.into_iter().chain(&header) {
        let mut hasher = Hasher::new(wanted.algorithm());
        hasher.update(bytes);
        let actual = hasher.finish();
        if actual != *wanted {
            return Err(ImageError::Digest {
                what: what.to_owned(),
                expected: wanted.clone(),
                actual,
            });
        }
    }
    Ok(expected.cloned().unwrap_or_else(|| Hasher::sha256(bytes)))
}

fn choose<'i>(
    what: &str,
    index: &'i Index,
    choice: &PlatformChoice,
) -> Result<&'i Descriptor, ImageError> {
    let platform = choice.platform();
    index.choose(&platform).ok_or_else(|| {
        let offered = index.platforms();
        let offered = if offered.is_empty() {
            "it names no platform at all".to_owned()
        } else {
            format!(
                "it comes for {}; choose with --platform",
                offered.join(", ")
            )
        };
        ImageError::unsupported(what, format!("it does not come for {platform}: {offered}"))
    })
}

/// Refuses what is stored as an image and is none: charts, signatures, modules.
fn check_image(what: &str, manifest: &Manifest) -> Result<(), ImageError> {
    use crate::Kind;
    let unsupported = |kind: &str, media_type: &MediaType| {
        let why =
            format!("its {kind} has the media type {media_type}, so it is no container image");
        Err(ImageError::unsupported(what, why))
    };
    let config = &manifest.config.media_type;
    if config.kind() != Some(Kind::Config) {
        return unsupported("configuration", config);
    }
    for layer in &manifest.layers {
        if !matches!(layer.media_type.kind(), Some(Kind::Layer(_))) {
            return unsupported("layer", &layer.media_type);
        }
    }
    Ok(())
}

/// Whether an image without an index is the one that was asked for. Answers a warning where it is
/// taken all the same.
pub(super) fn check_platform(
    what: &str,
    config: &ImageConfig,
    choice: &PlatformChoice,
) -> Result<Option<String>, ImageError> {
    let wanted = choice.platform();
    let is = &config.platform;
    if is.architecture.is_empty() || wanted.match_of(is).is_some() {
        return Ok(None);
    }
    match choice {
        PlatformChoice::Host => Ok(Some(format!(
            "{what} is for {is}, this machine is {wanted}: its programs may not run"
        ))),
        PlatformChoice::Only(_) => Err(ImageError::unsupported(
            what,
            format!("it does not come for {wanted}: it comes for {is}; choose with --platform"),
        )),
    }
}

fn found(manifest: Manifest, fetched: Fetched, repo_digest: Digest, endpoint: &Endpoint) -> Found {
    // The document's own word first: some registries answer with a vague type.
    let said = fetched.media_type.filter(|t| t.kind().is_some());
    let usual = || MediaType::from(media::MANIFEST);
    let media_type = manifest.media_type.clone().or(said).unwrap_or_else(usual);
    let mut descriptor = Descriptor::new("", fetched.digest, fetched.bytes.len() as u64);
    descriptor.media_type = media_type;
    Found {
        descriptor,
        bytes: fetched.bytes,
        manifest,
        repo_digest,
        endpoint: endpoint.clone(),
    }
}
