//! What the commands that walk through a pipeline set up alike.

use super::settings::{self, PipelineArgs};
use crate::cache::Access;
use crate::context::Context;
use crate::error::Error;
use crate::pipeline::config::Pipeline;
use crate::pipeline::{Options, Runner};

/// Prepares to evaluate `pipeline`, or to plan that, with the cache that its arguments name.
///
/// Provenance and hub are filled into `options`; a plan does not ask the hub.
pub fn runner<'a>(
    args: &PipelineArgs,
    pipeline: &'a Pipeline,
    access: Access,
    context: Context<'a>,
    options: Options,
) -> Result<Runner<'a>, Error> {
    let cache = args.open_cache(pipeline, access, context.progress)?;
    let options = Options {
        provenance: settings::provenance(pipeline),
        hub: args.hub(access == Access::Look),
        ..options
    };
    Runner::new(pipeline, &cache, context, options)
}
