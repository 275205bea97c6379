//! Whether features are of the kind that probes were fitted on.

use ndarray::{CowArray, Ix2};

use crate::artifact::{BackboneId, FeatureFile, FittedOn, ProbeFile};
use crate::error::Message;
use crate::progress::Progress;
use crate::stage::features::norm;
use crate::text::{self, count, foreign};

/// The features, `[n, d]`, as the probes take them: scaled to norm 1 where the rows were that the probes were fitted
/// on. What only may matter is said as a warning, `probes_name` being the probes' file.
///
/// # Errors
/// Features that the probes would take for something else: of another backbone, unless `any_backbone`, or scaled where
/// the probes' were not; and such as cannot be scaled.
pub fn rows<'a>(
    probes: &ProbeFile,
    probes_name: &str,
    features: &'a FeatureFile,
    any_backbone: bool,
    progress: &dyn Progress,
) -> Result<CowArray<'a, f32, Ix2>, Message> {
    let (probes_name, file) = (text::path(probes_name), text::path(features.name()));
    let Some(fitted_on) = &probes.fitted_on else {
        progress.warn(&format!(
            "{probes_name}: does not say which backbone's features the probes were fitted on, so nobody knows whether these fit; `newt-pipe run --save-probes` writes a file that does"
        ));
        return Ok(features.features().into());
    };
    match (&fitted_on.backbone, &features.backbone) {
        _ if any_backbone => {}
        (Some(expected), Some(found)) => check_backbone(expected, found, &file, progress)?,
        (Some(expected), None) => progress.warn(&format!(
            "{file}: does not say which backbone gave the features, so nobody knows whether they fit probes that were fitted on those of `{}`; `newt-pipe features export` writes a file that does",
            name(expected)
        )),
        (None, Some(found)) => progress.warn(&format!(
            "{probes_name}: fitted on features whose file does not say which backbone gave them, so nobody knows whether those of `{}` in {file} fit",
            name(found)
        )),
        // The user's own features: nobody but the user can know.
        (None, None) => {}
    }
    scaled(fitted_on, features, progress)
}

fn name(id: &BackboneId) -> String {
    foreign(&format!("{}/{}", id.org, id.ckpt))
}

fn check_backbone<'a>(
    expected: &'a BackboneId,
    found: &'a BackboneId,
    file: &str,
    progress: &dyn Progress,
) -> Result<(), Message> {
    if expected.key == found.key {
        return Ok(());
    }
    // A file may have been written by another version or hand: any of these can be absent.
    let param = |id: &'a BackboneId, key: &str| id.params.get(key);
    let part = |id: &'a BackboneId, part: &str| param(id, "backbone")?.get(part);
    let differs = |name: &str| part(expected, name) != part(found, name);
    let reason = if differs("network") {
        "the network is another"
    } else if expected.inputs != found.inputs || differs("random") {
        "the weights are others"
    } else if differs("preprocessing") {
        "the preprocessing is another"
    } else if let (Some(of_probes), Some(of_features)) =
        (param(expected, "precision"), param(found, "precision"))
        && of_probes != of_features
    {
        progress.warn(&format!(
            "{file}: features in precision {}, the probes were fitted on features in {}; decisions may differ slightly",
            foreign(&of_features.to_string()),
            foreign(&of_probes.to_string())
        ));
        return Ok(());
    } else {
        "they were extracted by another version of this program"
    };
    let (found, expected) = (name(found), name(expected));
    let text = format!(
        "{file}: features of `{found}`, the probes were fitted on those of `{expected}`: {reason}"
    );
    Err(Message::data(text).hint(
        "`newt-pipe features export` with the pipeline of the probes writes features that fit; `--any-backbone` takes these nevertheless",
    ))
}

fn scaled<'a>(
    fitted_on: &FittedOn,
    features: &'a FeatureFile,
    progress: &dyn Progress,
) -> Result<CowArray<'a, f32, Ix2>, Message> {
    let (rows, file) = (features.features(), text::path(features.name()));
    let n_far = norm::norms(rows)
        .filter(|norm| !norm::is_unit(*norm))
        .count();
    let were_scaled = fitted_on.l2 == Some(true);
    if fitted_on.scaled_always {
        norm::check_usable(features)?;
        let mut rows = rows.to_owned();
        norm::normalize(&mut rows);
        return Ok(rows.into());
    }
    if n_far > 0 && (were_scaled || fitted_on.norms.into_iter().all(norm::is_unit)) {
        norm::check_usable(features)?;
        // Raw rows are what the run scaled, too.
        if !(were_scaled && features.l2 == Some(false)) {
            progress.warn(&format!(
                "{file}: {} with an L2 norm other than 1; all are scaled to norm 1, which the rows had that the probes were fitted on",
                count(n_far, "row", "rows")
            ));
        }
        let mut rows = rows.to_owned();
        norm::normalize(&mut rows);
        return Ok(rows.into());
    }
    if n_far == 0
        && !features.ids().is_empty()
        && !were_scaled
        && !norm::includes_unit(fitted_on.norms)
    {
        let [low, high] = fitted_on.norms.map(norm::show);
        let text = format!(
            "{file}: every row has L2 norm 1, the probes were fitted on rows of norm {low} to {high}"
        );
        let hint = match &fitted_on.backbone {
            Some(_) => {
                "`newt-pipe features export --raw` with the pipeline of the probes writes rows that fit"
            }
            None => {
                "write the features as the backbone gives them, as for the run that fitted the probes, without scaling rows to norm 1"
            }
        };
        return Err(Message::data(text).hint(hint));
    }
    Ok(rows.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cache::{Digest, KeyBuilder};
    use crate::progress::Silent;

    fn id(network: &str, mean: f64, precision: &str, weights: &str) -> BackboneId {
        let preprocessing = json!({ "mean": mean });
        let request = KeyBuilder::new("backbone", 1)
            .param(
                "backbone",
                json!({ "network": network, "preprocessing": preprocessing }),
            )
            .param("precision", precision)
            .input("weights", Digest::of(weights.as_bytes()))
            .finish();
        BackboneId::new("timm", "a", &request)
    }

    #[test]
    fn what_makes_a_backbone_another_is_said() {
        let expected = id("vit", 0.5, "f32", "w");
        let reason = |found: BackboneId| {
            check_backbone(&expected, &found, "f", &Silent)
                .err()
                .map(|error| error.to_string())
        };
        let told = "f: features of `timm/a`, the probes were fitted on those of `timm/a`: ";
        for (found, why) in [
            (id("swin", 0.5, "f32", "v"), "the network is another"),
            (id("vit", 0.5, "f32", "v"), "the weights are others"),
            (id("vit", 0.4, "f32", "w"), "the preprocessing is another"),
        ] {
            assert_eq!(reason(found), Some(format!("{told}{why}")));
        }
        // The same network in another precision gives nearly the same rows.
        for found in [expected.clone(), id("vit", 0.5, "f16", "w")] {
            assert_eq!(reason(found), None);
        }
        // Whoever wrote the file wrote other parameters.
        let mut other = id("vit", 0.5, "f16", "w");
        other.params.remove("precision");
        assert_eq!(
            reason(other.clone()),
            Some(format!(
                "{told}they were extracted by another version of this program"
            ))
        );
        other.params.clear();
        assert_eq!(reason(other), Some(format!("{told}the network is another")));
    }
}
