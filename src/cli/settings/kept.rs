//! What the command line says is read or kept, and so must not be written to.

use newt_pipe::error::Error;
use newt_pipe::files::Kept;
use newt_pipe::hub::Token;
use newt_pipe::pipeline::config::Pipeline;

use super::{CacheArgs, HubArgs, PipelineArgs};

const CACHE: &str = "the cache";
const HUB_CACHE: &str = "the hub's cache";

impl PipelineArgs {
    /// Everything that results, or features that are exported, must keep away from.
    ///
    /// # Errors
    /// Those of [`CacheArgs::dir`].
    pub(in crate::cli) fn kept(&self, pipeline: &Pipeline) -> Result<Vec<Kept>, Error> {
        let cache = self.cache.dir(pipeline.cache_dir.as_deref())?;
        let hub = self.hub.offline_settings();
        let mut kept = vec![Kept::closed(CACHE, cache)];
        kept.extend(hub.cache_dir.map(|dir| Kept::closed(HUB_CACHE, dir)));
        if let Some(Token::File(path)) = hub.token {
            kept.push(Kept::open("the hub's token", path));
        }
        kept.extend(
            self.file
                .iter()
                .map(|file| Kept::open("the pipeline file", file)),
        );
        kept.extend(pipeline.inputs());
        Ok(kept)
    }
}

/// The caches that a data set must not be put into.
pub(in crate::cli) fn caches() -> Vec<Kept> {
    let cache = CacheArgs { cache_dir: None }.dir(None);
    let hub = HubArgs::default().offline_settings().cache_dir;
    let cache = cache.ok().map(|dir| Kept::walled(CACHE, dir));
    let hub = hub.map(|dir| Kept::walled(HUB_CACHE, dir));
    cache.into_iter().chain(hub).collect()
}
