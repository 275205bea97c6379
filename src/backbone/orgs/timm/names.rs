//! Names that timm knows and that are not among the architectures here; made by `tests/golden/make/timm_names.py`.

/// What was renamed: `former current`, the second with a tag where one is meant.
const FORMER: &str = include_str!("former.txt");

/// Architectures that are not written here.
const OTHERS: &str = include_str!("others.txt");

/// What timm takes for `name`, an architecture and after a dot a tag, if the architecture has been renamed.
///
/// Source: `timm.models._registry._deprecated_model_shim`, for which a tag that is given comes first.
pub fn current(name: &str) -> Option<String> {
    let (architecture, tag) = match name.split_once('.') {
        Some((architecture, tag)) => (architecture, Some(tag)),
        None => (name, None),
    };
    let (_, current) = FORMER
        .lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(former, _)| *former == architecture)?;
    Some(match (tag, current.split('.').next()) {
        (Some(tag), Some(architecture)) => format!("{architecture}.{tag}"),
        _ => current.to_owned(),
    })
}

/// timm's architectures that are not written here.
pub fn others() -> impl Iterator<Item = &'static str> + Clone {
    OTHERS.lines()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backbone::orgs::architectures;

    #[test]
    fn former_name_stands_for_what_timm_maps_it_to() {
        let current = |name: &str| current(name).unwrap();
        assert_eq!(
            current("vit_base_patch16_224_in21k"),
            "vit_base_patch16_224.augreg_in21k"
        );
        assert_eq!(
            current("vit_base_patch16_224_in21k.dino"),
            "vit_base_patch16_224.dino"
        );
        assert_eq!(current("efficientnet_b2a"), "efficientnet_b2");
        assert_eq!(super::current("vit_base_patch16_224.augreg_in21k"), None);
    }

    #[test]
    fn lists_do_not_overlap_with_the_catalog() {
        assert!(others().all(|name| architectures::find(name).is_none()));
        assert!(architectures::architectures().all(|name| current(name).is_none()));
        let n_former = FORMER
            .lines()
            .filter_map(|line| line.split_once(' '))
            .count();
        assert_eq!(n_former, FORMER.lines().count());
    }
}
