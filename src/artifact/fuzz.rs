//! Files of features, of probes, of tables and shards, as a broken disk or a stranger leaves them.

use std::sync::Arc;

use ndarray::{Array2, array};

use super::{BackboneId, FeatureFile, FeatureStore, FittedOn, ProbeFile, Table};
use crate::cache::{Cache, Digest, KeyBuilder};
use crate::fuzz::{Warned, check, said};
use crate::interrupt::Interrupt;
use crate::probe::classifier::FittedClassifier;
use crate::probe::nearest_centroid::FittedCentroids;
use crate::probe::nearest_neighbours::FittedNeighbours;
use crate::probe::svc::{FittedSvc, KernelFunction};
use crate::probe::{FittedProbe, Kernel, Scaler};
use crate::progress::Silent;

fn backbone() -> BackboneId {
    let request = KeyBuilder::new("features", 1)
        .param(
            "network",
            serde_json::json!({"width": 192, "mean": [0.5, 1e-3]}),
        )
        .input("weights", Digest::of(b"weights"))
        .finish();
    BackboneId::new("timm", "vit_tiny_patch16_224", &request)
}

#[test]
fn damaged_feature_files_are_refused_or_whole() {
    let ids = || ["a", "é", "c/\n"].map(str::to_owned).to_vec();
    let features = array![[0.5_f32, -1.0], [1e-3, 3e4], [0.0, 2.0]];
    let interrupt = Interrupt::default();
    let parse = |bytes: &[u8]| FeatureFile::parse("f", bytes, &interrupt);
    let plain = FeatureFile::new("f", ids(), features, &interrupt).unwrap();
    let mut known = plain.clone();
    known.backbone = Some(backbone());
    let samples = [&plain, &known].map(|file| file.to_bytes().unwrap());
    check(2000, samples.to_vec(), |bytes| {
        let file = parse(bytes).map_err(|error| said(&error, error.hint()))?;
        assert_eq!(file.ids().len(), file.features().nrows());
        assert!(file.features().iter().all(|value| value.is_finite()));
        assert_eq!(file.select(file.ids()).unwrap(), file.features());
        assert_eq!(parse(&file.to_bytes().unwrap()).unwrap(), file);
        Ok(())
    });
}

#[test]
fn damaged_probes_are_refused_or_whole() {
    let svc = |kernel| {
        Arc::new(FittedSvc {
            support_rows: vec![2, 0],
            support_vectors: array![[1.0, 2.0], [0.25, -1.0]],
            dual_coef: vec![-0.1, 0.1],
            bias: 1.0 / 7.0,
            function: KernelFunction {
                kernel,
                gamma: 3.3e-4,
                degree: 3,
                coef0: 0.0,
            },
        })
    };
    let centred = FittedProbe {
        first_scaler: None,
        mean: Some(array![0.1, -0.2]),
        l2: true,
        scaler: Some(Scaler {
            mean: vec![1.0 / 3.0, 0.0],
            scale: vec![1.0, 2.0 / 7.0],
        }),
        classifier: svc(Kernel::Poly),
    };
    let plain = FittedProbe {
        first_scaler: None,
        mean: None,
        l2: false,
        scaler: None,
        classifier: svc(Kernel::Linear),
    };
    let of = |classifier: Arc<dyn FittedClassifier>| FittedProbe {
        classifier,
        ..plain.clone()
    };
    let neighbours = of(Arc::new(FittedNeighbours {
        train_rows: array![[1.0, 2.0], [0.25, -1.0], [0.0, 0.5]],
        labels: vec![1, 0, 1],
        k: 2,
        temperature: 0.07,
    }));
    let centroids = of(Arc::new(FittedCentroids {
        centroids: array![[1.0, 2.0], [0.25, -1.0]],
    }));
    let nearest = ProbeFile::to_bytes([("a", &neighbours), ("b/c", &centroids)]).unwrap();
    let bytes = ProbeFile::to_bytes([("a", &centred), ("b/c", &plain)]).unwrap();
    let fitted_on = FittedOn {
        backbone: Some(backbone()),
        l2: Some(false),
        scaled_always: false,
        norms: [0.5, 2.0],
    };
    let saved =
        ProbeFile::with_fitted_on(&bytes, &fitted_on, &serde_json::json!({ "seed": 17 })).unwrap();
    check(3000, vec![bytes, saved, nearest], |bytes| {
        let file = ProbeFile::parse("f", bytes).map_err(|error| said(&error, error.hint()))?;
        let probes = || {
            file.probes
                .iter()
                .map(|(task, probe)| (task.as_str(), probe))
        };
        let written = ProbeFile::to_bytes(probes()).unwrap();
        // By their text: a NaN is not equal to itself.
        let again = ProbeFile::parse("f", &written).unwrap().probes;
        assert_eq!(format!("{again:?}"), format!("{:?}", file.probes));
        for (_, probe) in probes() {
            let decision = probe
                .decision(
                    array![[0.3_f32, 0.7], [0.0, 0.0]].view(),
                    &Interrupt::default(),
                )
                .map_err(|error| error.to_string())?;
            assert_eq!(decision.0.len(), 2);
        }
        Ok(())
    });
}

/// Other damage than a cut is found by the digest: see [`Table::from_parquet`].
#[test]
fn tables_that_are_cut_short_are_refused() {
    let ids: Vec<String> = (0..100).map(|n| n.to_string()).collect();
    let gammas: Vec<Option<f64>> = (0..100)
        .map(|n| (n % 3 > 0).then_some(f64::from(n)))
        .collect();
    let table = Table::default().with("img_id", &ids).with("gamma", &gammas);
    let bytes = table.to_parquet().unwrap();
    for n in 0..bytes.len() {
        let error = Table::from_parquet(&bytes[..n]).unwrap_err();
        crate::fuzz::check_said(&said(&error, error.hint())).unwrap();
    }
}

#[test]
fn damaged_shards_are_removed_or_passed_over_or_whole() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::open(dir.path()).unwrap();
    let key = KeyBuilder::new("features", 1).finish().key;
    let images = [b"a", b"b", b"c"].map(|bytes| Digest::of(bytes));
    let rows = array![[0.5_f32, -1.0], [1e-3, 3e4], [0.0, 2.0]];
    let mut store = FeatureStore::open(&cache, &key, 2, &Silent).unwrap();
    store.append(&images, rows.view()).unwrap();
    let shards = dir.path().join("features").join(key.to_string());
    let name = fs_err::read_dir(&shards)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .file_name();
    let sample = fs_err::read(shards.join(&name)).unwrap();

    let read = |name: &std::path::Path, bytes: &[u8]| -> Result<Option<Array2<f32>>, String> {
        fs_err::remove_dir_all(&shards).unwrap();
        fs_err::create_dir(&shards).unwrap();
        fs_err::write(shards.join(name), bytes).unwrap();
        let warned = Warned::default();
        let mut store = FeatureStore::open(&cache, &key, 2, &warned).unwrap();
        let found = store.read(&images, &warned).unwrap();
        // Whatever was there, the images can be extracted again. A shard that lacks some images may turn out damaged when
        // the others are read, so there may be a second round.
        for _ in 0..2 {
            let missing = store.missing(&images);
            let missing: Vec<Digest> = missing.iter().map(|place| images[*place]).collect();
            let rows = Array2::zeros((missing.len(), 2));
            store.append(&missing, rows.view()).unwrap();
            if store.read(&images, &warned).unwrap().is_some() {
                break;
            }
        }
        assert!(store.read(&images, &warned).unwrap().is_some());
        warned.check()?;
        Ok(found)
    };
    check(60, vec![sample], |bytes| {
        // Under its own name a shard of other bytes is damaged: it is used as a whole or not at all.
        if let Some(found) = read(name.as_ref(), bytes)? {
            assert_eq!(found, rows);
        }
        // Under that of its bytes it is somebody's shard, if it is one.
        let named = format!("{}.safetensors", Digest::of(bytes));
        read(named.as_ref(), bytes)?;
        Ok(())
    });
}
