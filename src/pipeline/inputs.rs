//! What a pipeline reads, as places that nothing may be written to.

use super::config::{Data, Model, Pipeline};
use crate::files::{Kept, located};
use crate::newt::images::DataRoot;
use crate::newt::synth::RECIPE_FILE;

impl Pipeline {
    /// The data set and the files of the models, as far as they have their places from the pipeline file: not those in
    /// the cache and in the hub's.
    pub fn inputs(&self) -> Vec<Kept> {
        let mut inputs = Vec::new();
        if let Data::Root(root) = &self.data {
            let root = DataRoot::new(root);
            inputs.push(Kept::open("the data root", root.path()));
            inputs.push(Kept::open("the labels file", root.labels_path()));
            inputs.push(Kept::open(
                "the recipe of the data set",
                root.path().join(RECIPE_FILE),
            ));
            inputs.push(Kept::closed("the folder of the images", root.images_dir()));
        }
        inputs.extend(self.models.iter().flat_map(inputs_of));
        inputs
    }
}

fn inputs_of(model: &Model) -> Vec<Kept> {
    let place = |written: &str| located(&model.base_dir, written);
    if let Some(dir) = model.ckpt.strip_prefix("local-dir:") {
        vec![Kept::whole("the checkpoint", place(dir))]
    } else if model.is_precomputed() {
        vec![Kept::open("the file of the features", place(&model.ckpt))]
    } else if model.brings_code() {
        let module = place(&model.ckpt);
        let description = module.with_extension("toml");
        vec![
            Kept::open("the module", module),
            Kept::open("the description of the module", description),
        ]
    } else {
        Vec::new()
    }
}
