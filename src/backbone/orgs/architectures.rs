//! Known architectures, one row each, by timm's names.
//!
//! Every row is compared with timm's own model in `tests/golden/backbone.rs`.

use crate::backbone::checkpoint::WAYS_OUT;
use crate::backbone::checkpoint::fields::{Fields, as_variant};
use crate::backbone::checkpoint::location::did_you_mean;
#[cfg(feature = "torch")]
use crate::backbone::checkpoint::weights::Shapes;
use crate::backbone::families::poolings::Poolings;
use crate::backbone::families::preset::Data;
use crate::backbone::families::{self, Contradiction, NetworkConfig};
#[cfg(any(feature = "torch", test))]
use crate::backbone::orgs::timm::Output;
use crate::backbone::orgs::timm::vit::VitArgs;
use crate::backbone::orgs::timm::{self, GlobalPool};
use crate::error::Message;
use crate::text::{self, foreign};

/// An architecture and the preprocessing of timm's first checkpoint for it.
#[derive(Clone, Copy, Debug)]
pub struct Architecture {
    pub name: &'static str,
    pub model: Model,
    pub data: Data,
}

/// A class of timm's with its arguments.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Model {
    Vit(VitArgs),
    /// One whose arguments are the network's, but for the pooling of its last map.
    Plain(NetworkConfig, GlobalPool),
}

impl Model {
    /// `[h, w]` of the images that the network was made for; `None` where it takes any.
    pub fn img_size(&self) -> Option<[usize; 2]> {
        match self {
            Self::Vit(args) => (!args.dynamic_img_size).then_some(args.img_size),
            Self::Plain(network, _) => network.family().img_size(),
        }
    }

    /// Makes the network for images of another size, as timm does where a checkpoint has a fixed one.
    pub fn set_img_size(&mut self, size: [usize; 2]) {
        match self {
            Self::Vit(args) => args.img_size = size,
            Self::Plain(network, _) => network.family_mut().set_img_size(size),
        }
    }

    /// How timm pools what the classifier is given.
    pub fn global_pool(&mut self) -> &mut GlobalPool {
        match self {
            Self::Vit(args) => &mut args.global_pool,
            Self::Plain(_, global_pool) => global_pool,
        }
    }

    /// Replaces arguments by those of a checkpoint.
    pub fn override_args(&mut self, args: &mut Fields<'_>) -> Result<(), Message> {
        match self {
            Self::Vit(vit) => vit.override_args(args),
            Self::Plain(network, global_pool) => {
                if let Some(value) = args.take("global_pool") {
                    *global_pool = as_variant(&value).unwrap_or(GlobalPool::Other);
                }
                network.family_mut().override_args(args)
            }
        }
    }

    /// What does not go together in the arguments, or with images of `[h, w]` pixels.
    pub fn contradiction(&self, input: [usize; 2]) -> Option<Contradiction> {
        match self {
            Self::Vit(args) => args.contradiction(),
            Self::Plain(network, _) => for_images_of(*network, input).family().contradiction(),
        }
    }

    /// The network for images of `[h, w]` pixels.
    #[cfg(any(feature = "torch", test))]
    pub fn network(&self, input: [usize; 2], output: Output) -> NetworkConfig {
        match self {
            Self::Vit(args) => args.network(input, output).into(),
            Self::Plain(network, _) => for_images_of(*network, input),
        }
    }

    /// The networks for images of `[h, w]` pixels, by how their features are pooled.
    pub fn poolings(&self, input: [usize; 2]) -> Poolings {
        match self {
            Self::Vit(args) => args.poolings(input),
            Self::Plain(network, global_pool) => {
                Poolings::of_map(for_images_of(*network, input), global_pool.of_map())
            }
        }
    }
}

fn for_images_of(mut network: NetworkConfig, size: [usize; 2]) -> NetworkConfig {
    network.family_mut().set_img_size(size);
    network
}

/// Every architecture, family by family.
pub fn all() -> impl Iterator<Item = Architecture> {
    let vits = timm::vit_rows::ARCHITECTURES
        .iter()
        .chain(timm::eva_rows::ARCHITECTURES)
        .map(|row| (row.name, Model::Vit(row.args), row.data));
    let plain = families::architectures()
        .map(|(name, network, data)| (name, Model::Plain(network, GlobalPool::Avg), data));
    vits.chain(plain)
        .map(|(name, model, data)| Architecture { name, model, data })
}

/// Names of the architectures that can be loaded, in the order of [`all`].
pub fn architectures() -> impl Iterator<Item = &'static str> {
    all().map(|architecture| architecture.name)
}

/// The architecture that timm knows by that name.
pub fn find(name: &str) -> Option<Architecture> {
    let current = timm::names::current(name);
    let current = current.as_deref().and_then(|name| name.split('.').next());
    let name = current.unwrap_or(name);
    all().find(|architecture| architecture.name == name)
}

/// The architecture of that name; `place` says in messages where the name stands.
///
/// # Errors
/// Of a name of a network that is not written here, or that timm does not have either.
pub fn require(name: &str, place: &str) -> Result<Architecture, Message> {
    if let Some(found) = find(name) {
        return Ok(found);
    }
    let (place, shown) = (text::path(place), foreign(name));
    let ways_out = format!(
        "`newt-pipe models ls --architectures` lists the networks that are written here; for others {WAYS_OUT}"
    );
    if timm::names::others().any(|other| other == name) {
        let text =
            format!("{place}: architecture `{shown}` is one of timm's that is not written here");
        return Err(Message::request(text).hint(ways_out));
    }
    let mut nearest = nearest(name, architectures().chain(timm::names::others()));
    nearest.retain(|known| find(known).is_some());
    let hint = did_you_mean(&nearest).unwrap_or(ways_out);
    Err(Message::request(format!("{place}: unknown architecture `{shown}`")).hint(hint))
}

/// The names that `name` may be meant for: those of which it is the first words, shortest first, else those that
/// are nearest to it and no more than misspelt. A digit tells networks apart, so only one may be wrong.
pub fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let plain = |name: &str| name.to_lowercase().replace('-', "_");
    let digits = |name: &str| name.replace(|c: char| !c.is_ascii_digit(), "");
    let wanted = plain(name);
    let is_separator = |c: char| "_./".contains(c);
    let (mut longer, mut misspelt) = (Vec::new(), Vec::new());
    let mut is_begun = false;
    for known in names {
        let spelt = plain(known);
        if spelt == wanted {
            return vec![known];
        }
        let rest = spelt.strip_prefix(&wanted).unwrap_or_default();
        if !wanted.is_empty()
            && (rest.starts_with(is_separator)
                || !rest.is_empty() && wanted.ends_with(is_separator))
        {
            longer.push((known.len(), known));
        }
        // The distance is no smaller than this, and takes minutes to find for a name of megabytes.
        let is_as_long = wanted.len().abs_diff(spelt.len()) <= 8;
        if is_as_long {
            let distance = strsim::osa_distance(&wanted, &spelt);
            let is_misspelt = distance == 1 || distance == 2 && digits(&wanted) == digits(&spelt);
            if is_misspelt && 4 * distance <= wanted.len() {
                misspelt.push((distance, known));
            }
        }
        is_begun |= spelt.len() > wanted.len() && spelt.starts_with(&wanted);
    }
    let is_longer = !longer.is_empty();
    let mut found = if is_longer { longer } else { misspelt };
    if is_begun {
        found.retain(|(_, known)| plain(known).starts_with(&wanted));
    }
    // A stable sort: names equally near keep their order.
    found.sort_by_key(|&(distance, _)| distance);
    if !is_longer && let Some(&(least, _)) = found.first() {
        found.retain(|&(distance, _)| distance == least);
    }
    found.into_iter().map(|(_, known)| known).collect()
}

/// The first architecture that a checkpoint with such shapes can be of.
#[cfg(feature = "torch")]
pub fn fitting(shapes: &Shapes<'_>) -> Option<&'static str> {
    let shape = |name: &str| shapes.get(name).map(Vec::as_slice);
    all()
        .find(|architecture| {
            let input = architecture.model.img_size().unwrap_or([224; 2]);
            match architecture.model.network(input, Output::Tokens) {
                NetworkConfig::Vit(config) => config.fits(shape),
                _ => false,
            }
        })
        .map(|architecture| architecture.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = architectures().collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all().count());
    }

    #[test]
    fn misspelt_name_is_corrected_and_no_other_network_proposed() {
        let nearest = |name: &str| {
            let refused = crate::error::Error::from(require(name, "").unwrap_err());
            assert!(refused.to_string().contains("unknown architecture"));
            let hint = refused.hint().unwrap();
            let named = hint.strip_prefix("did you mean `");
            named
                .map_or("", |named| named.trim_end_matches("`?"))
                .to_owned()
        };
        assert_eq!(nearest("vit_tinny_patch16_224"), "vit_tiny_patch16_224");
        assert_eq!(nearest("vit_bsae_ptach16_224"), "vit_base_patch16_224");
        assert_eq!(nearest("ViT-Base-Patch16-224"), "vit_base_patch16_224");
        assert_eq!(nearest("vit_base_patch14_dino2"), "vit_base_patch14_dinov2");
        assert_eq!(nearest("vit_base_patch8"), "vit_base_patch8_224");
        // Misspelt, or no more than the first words, of networks that are not written here.
        for name in [
            "seresnt50",
            "beit_bsae_patch16_224",
            "resnext26",
            "vit_base_patch16_256",
            "resnet",
            "",
            "x",
        ] {
            assert_eq!(nearest(name), "", "{name}");
        }
        for name in ["beit_base_patch16_224", "seresnet50", "resnet200"] {
            let refused = require(name, "").unwrap_err().to_string();
            assert!(refused.ends_with("not written here"), "{refused}");
        }
    }

    /// Notes what a network asks for, and gives zeros.
    #[cfg(feature = "torch")]
    #[derive(Default)]
    struct Recorder {
        lines: std::cell::RefCell<Vec<String>>,
    }

    #[cfg(feature = "torch")]
    impl crate::backbone::checkpoint::weights::Source for Recorder {
        fn tensor(
            &self,
            name: &str,
            shape: &[usize],
            _init: crate::backbone::checkpoint::weights::Init,
        ) -> Result<Vec<f32>, crate::error::Error> {
            self.lines.borrow_mut().push(format!("{name} {shape:?}\n"));
            Ok(vec![0.0; shape.iter().product()])
        }
    }

    /// `tests/golden/make/architectures.py` wrote the digests.
    #[test]
    #[cfg(feature = "torch")]
    fn networks_ask_for_the_tensors_of_timm_s() {
        use rayon::prelude::*;
        use sha2::{Digest, Sha256};
        use std::sync::atomic::AtomicUsize;

        use crate::backbone::families::loader::Loading;

        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/golden/fixtures/architectures.json"
        );
        let fixture: serde_json::Value =
            serde_json::from_slice(&fs_err::read(path).unwrap()).unwrap();
        let rows: Vec<Architecture> = all().collect();
        let n_compared = rows
            .par_iter()
            .filter(|row| {
                let Some(expected) = fixture["architectures"][row.name]["tensors"].as_str() else {
                    return false;
                };
                let recorder = Recorder::default();
                let stop = AtomicUsize::default();
                let loading = Loading::new(&recorder, tch::Device::Cpu, tch::Kind::Float, &stop);
                let network = row.model.network(row.data.size, Output::Tokens);
                network.load(&loading.loader()).unwrap();
                let mut lines = recorder.lines.into_inner();
                lines.sort();
                let digest = Sha256::digest(lines.concat());
                assert_eq!(format!("{digest:x}"), expected, "{}", row.name);
                true
            })
            .count();
        assert!(n_compared > 70, "{n_compared}");
    }
}
