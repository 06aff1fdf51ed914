//! The tags of a repository (distribution-spec, "Listing Tags").

use std::collections::HashSet;

use berth_base::ErrorClass;
use hyper::Method;
use hyper::header::{HeaderMap, LINK};
use serde::Deserialize;

use super::body::Payload;
use super::client::Client;
use super::config::Endpoint;
use super::failure::{Failure, Wish};
use super::line::{Ask, Line, Target};
use super::manifest::{page_instead, pull_scope};
use super::reply::{expect, is_page, read_small};
use super::session::{Session, Stop};
use super::url::Url;
use crate::{ImageError, ImageRef, Progress};

/// The longest page of a list.
const PAGE_MAX_BYTES: u64 = 4 << 20;
/// The most tags of a repository, and the most pages of them: a list may have no end.
const TAGS_MAX: usize = 100_000;
const PAGES_MAX: usize = 1000;
/// How many tags are asked for at once.
const PAGE_TAGS: usize = 1000;

#[derive(Deserialize)]
struct Page {
    /// `null` where there is none.
    #[serde(default)]
    tags: Option<Vec<String>>,
}

/// Lists what a repository has: its name with each of its tags, in the registry's order. Mirrors are
/// asked first; `name` may have a tag, which says nothing.
pub fn tags(
    client: &Client,
    name: &ImageRef,
    progress: &dyn Progress,
) -> Result<Vec<ImageRef>, ImageError> {
    let wish = Wish {
        registry: name.registry().to_owned(),
        verb: "pull",
        object: format!("all tags of {}", name.familiar_name()),
    };
    let stop = Stop::default();
    let mut session = Session::new(client, progress, &stop)?;
    let mut endpoints = client.config().endpoints(name.registry())?;
    let origin = endpoints.pop();
    for mirror in endpoints {
        match session.tags_at(&mirror, name, &wish) {
            Ok(tags) => return Ok(tags),
            Err(failure) => {
                let (mirror, why) = (&mirror.name, failure.brief());
                let object = &wish.object;
                progress.note(&format!(
                    "the mirror {mirror} does not list {object}: {why}"
                ));
            }
        }
    }
    let origin = origin.ok_or_else(|| ImageError::malformed(&wish.object, "nobody to ask"))?;
    session
        .tags_at(&origin, name, &wish)
        .map_err(|failure| failure.into_error(&wish))
}

impl Session<'_> {
    fn tags_at(
        &mut self,
        endpoint: &Endpoint,
        name: &ImageRef,
        wish: &Wish,
    ) -> Result<Vec<ImageRef>, Failure> {
        let repository = name.repository();
        let mut target = Target::Path(format!("{repository}/tags/list?n={PAGE_TAGS}"));
        let (mut tags, mut seen) = (Vec::new(), HashSet::new());
        for _page in 0..PAGES_MAX {
            let scope = pull_scope(repository);
            let ask = Ask {
                endpoint,
                method: Method::GET,
                target,
                headers: Vec::new(),
                payload: Payload::Empty,
                scope: &scope,
                repository,
            };
            let (page, next) = self.retried(wish, async |line| page(line, &ask, wish).await)?;
            for tag in page.tags.unwrap_or_default() {
                if seen.len() == TAGS_MAX {
                    return Err(too_many(wish).into());
                }
                let tagged = with_tag(name, &tag, wish)?;
                if seen.insert(tag) {
                    tags.push(tagged);
                }
            }
            target = match next {
                Some(url) => Target::At(url),
                None if tags.is_empty() => return Err(none(wish).into()),
                None => return Ok(tags),
            };
        }
        Err(too_many(wish).into())
    }
}

/// One page, and where the next one is.
async fn page(
    line: &mut Line<'_>,
    ask: &Ask<'_>,
    wish: &Wish,
) -> Result<(Page, Option<Url>), Failure> {
    let endpoint = ask.endpoint;
    let idle = line.client.tuning().idle;
    let reply = line.ask(ask).await?;
    let reply = expect(reply, &[200], &endpoint.name, idle).await?;
    let headers = reply.response.headers();
    if is_page(headers) {
        return Err(page_instead(endpoint, &wish.object));
    }
    let next = next_page(&reply.url, headers);
    let what = format!("the list of {}", wish.object);
    let bytes = read_small(reply, PAGE_MAX_BYTES, &what, idle).await?;
    let page = serde_json::from_slice(&bytes)
        .map_err(|error| ImageError::malformed(what, format!("it is no list: {error}")))?;
    Ok((page, next))
}

/// The place of the next page, from `Link: <URL>; rel="next"` (RFC 8288). Its path alone counts:
/// registries behind a gate take themselves for another host, or for plain HTTP, and a list goes on
/// nowhere else.
fn next_page(from: &Url, headers: &HeaderMap) -> Option<Url> {
    let values = headers.get_all(LINK).iter();
    let links = values.filter_map(|value| value.to_str().ok());
    let next = links.flat_map(|text| text.split('<').skip(1)).find(|link| {
        let (_, parameters) = link.split_once('>').unwrap_or_default();
        parameters.split(';').any(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or_default();
            let value = value.trim().trim_end_matches(',').trim().trim_matches('"');
            name.trim().eq_ignore_ascii_case("rel") && value.eq_ignore_ascii_case("next")
        })
    });
    let url = from.join(next?.split('>').next()?)?;
    Some(Url {
        origin: from.origin.clone(),
        ..url
    })
}

/// A tag as it is written into file names and requests, so it must be one.
fn with_tag(name: &ImageRef, tag: &str, wish: &Wish) -> Result<ImageRef, ImageError> {
    let parsed = format!("{}:{tag}", name.name()).parse::<ImageRef>();
    let tagged = parsed.ok().filter(|tagged| tagged.tag() == Some(tag));
    tagged.ok_or_else(|| {
        let tag: String = tag.chars().take(60).collect();
        let why = format!("{:?} in it is no tag", berth_base::escape_untrusted(&tag));
        ImageError::malformed(format!("the list of {}", wish.object), why)
    })
}

fn none(wish: &Wish) -> ImageError {
    let Wish {
        registry, object, ..
    } = wish;
    ImageError::Registry {
        class: ErrorClass::NotFound,
        message: format!("cannot pull {object}: {registry} has none of it; check the name"),
    }
}

fn too_many(wish: &Wish) -> ImageError {
    ImageError::Limit {
        what: format!("the list of {}", wish.object),
        why: format!("it has more than {TAGS_MAX} tags or {PAGES_MAX} pages; pull single tags"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page() {
        let from = Url::parse("https://r.example/v2/a/tags/list?n=2").unwrap();
        let next = |links: &[&str]| {
            let mut headers = HeaderMap::new();
            for link in links {
                headers.append(LINK, link.parse().unwrap());
            }
            next_page(&from, &headers).map(|url| url.to_string())
        };
        let url = |rest: &str| Some(format!("https://r.example{rest}"));
        assert_eq!(
            next(&["</v2/a/tags/list?last=b&n=2>; rel=\"next\""]),
            url("/v2/a/tags/list?last=b&n=2")
        );
        assert_eq!(
            next(&["<list?last=b>;rel=next"]),
            url("/v2/a/tags/list?last=b")
        );
        assert_eq!(
            next(&["<http://inner:5000/v2/a/tags/list?last=b>; Rel=\"Next\""]),
            url("/v2/a/tags/list?last=b")
        );
        assert_eq!(next(&["</x>; rel=\"prev\", </y>; rel=\"next\""]), url("/y"));
        assert_eq!(
            next(&["</x>; rel=prev", "</y>; title=\"z\"; rel=\"next\""]),
            url("/y")
        );
        for none in [
            "",
            "/x",
            "</x>",
            "</x>; rel=\"last\"",
            "<ftp://x/>; rel=next",
        ] {
            assert_eq!(next(&[none]), None, "{none}");
        }
    }

    #[test]
    fn tags_that_are_none() {
        let wish = Wish {
            registry: "r.example".into(),
            verb: "pull",
            object: "all tags of r.example/a".into(),
        };
        let name: ImageRef = "r.example/a".parse().unwrap();
        let tag = |tag: &str| with_tag(&name, tag, &wish);
        assert_eq!(tag("1.2").unwrap().to_string(), "r.example/a:1.2");
        for bad in ["", "a/b", "../x", "a@sha256", "a:b", "\u{1b}[2J", " "] {
            assert!(tag(bad).is_err(), "{bad:?}");
        }
        insta::assert_snapshot!(tag("a\u{1b}/b").unwrap_err(), @r#"cannot use the list of all tags of r.example/a: "a\\x1b/b" in it is no tag"#);
    }
}
