//! What the command line says is read or kept, and so must not be written to.

use std::path::{Path, PathBuf};

use crate::cache;
use crate::error::Error;
use crate::files::{self, Kept};
use crate::hub::{self, Token};
use crate::pipeline::config::{Model, Pipeline};

use super::{CacheArgs, HubArgs, PipelineArgs};

const CACHE: &str = "the cache";
const HUB_CACHE: &str = "the hub's cache";

impl PipelineArgs {
    /// Everything that results, or features that are exported, must keep away from; `output` is where they go.
    ///
    /// # Errors
    /// As [`CacheArgs::dir`].
    pub fn kept(&self, pipeline: &Pipeline, output: &Path) -> Result<Vec<Kept>, Error> {
        let cache = self.cache.dir(pipeline.cache_dir.as_deref())?;
        let mut kept = vec![Kept::closed(CACHE, cache)];
        let hub = self.hub.offline_settings();
        if let Some(dir) = hub.cache_dir.clone()
            && !pipeline.models.iter().all(Model::is_local)
        {
            kept.push(Kept::closed(HUB_CACHE, dir));
        }
        kept.extend(of_others(output, hub, Kept::open));
        kept.extend(
            self.file
                .iter()
                .map(|file| Kept::open("the pipeline file", file)),
        );
        kept.extend(pipeline.inputs());
        Ok(kept)
    }
}

/// What a data set, or a file that no pipeline speaks of, must keep away from: the caches that the environment names, and
/// what is around `output`.
pub fn caches(output: &Path) -> Vec<Kept> {
    let cache = CacheArgs { cache_dir: None }.dir(None).ok();
    let hub = HubArgs::default().offline_settings();
    let mut kept: Vec<Kept> = cache
        .into_iter()
        .map(|dir| Kept::walled(CACHE, dir))
        .collect();
    let hub_dir = hub.cache_dir.clone();
    kept.extend(hub_dir.map(|dir| Kept::walled(HUB_CACHE, dir)));
    kept.extend(of_others(output, hub, Kept::walled));
    kept
}

/// What nothing may be written to, whatever it is: the hub's token, its cache as far as it holds something, and caches of
/// ours that nobody has named. `around` says whether a folder may lie around the hub's cache.
fn of_others(
    output: &Path,
    hub: hub::Settings,
    around: fn(&'static str, PathBuf) -> Kept,
) -> Vec<Kept> {
    let mut kept = Vec::new();
    if let Some(dir) = hub.cache_dir {
        let entries = fs_err::read_dir(&dir).into_iter().flatten().flatten();
        // A folder of scratch files may be the hub's cache as well.
        let is_repo = |name: &str| {
            ["models--", "datasets--", "spaces--"]
                .iter()
                .any(|prefix| name.starts_with(prefix))
        };
        let repos = entries.filter(|entry| entry.file_name().to_str().is_some_and(is_repo));
        kept.extend(repos.map(|entry| Kept::walled(HUB_CACHE, entry.path())));
        kept.push(around(HUB_CACHE, dir));
    }
    if let Some(Token::File(path)) = hub.token {
        kept.push(around("the hub's token", path));
    }
    // By where it really is: a link may lead into a cache.
    let output = files::real_from_root(output).unwrap_or_else(|_| output.to_owned());
    let caches = output.ancestors().filter(|dir| cache::is_tagged(dir));
    kept.extend(caches.map(|dir| Kept::walled("a cache", dir)));
    kept
}
