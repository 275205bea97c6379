//! What a pipeline reads, as places that nothing may be written to.

use super::config::{Data, Model, Pipeline, Place};
use crate::files::Kept;
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
    match &model.place {
        Place::Folder(dir) => vec![Kept::whole("the checkpoint", dir)],
        Place::Features(path) => vec![Kept::open("the file of the features", path)],
        Place::Script(module) => {
            let description = module.with_extension("toml");
            vec![
                Kept::open("the module", module),
                Kept::open("the description of the module", description),
            ]
        }
        Place::Random | Place::Hub => Vec::new(),
    }
}
